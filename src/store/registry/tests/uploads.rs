//! Blobs on their way up.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const MIB: usize = 1 << 20;

fn puts(server: &Server) -> Vec<Seen> {
    server.log().into_iter().filter(|seen| seen.method == "PUT").collect()
}

#[test]
fn a_blob_goes_up_in_one_request_with_its_length() {
    for size in [0, 1, 3 * MIB + 17] {
        let content = vec![7; size];
        let server = Server::start(|seen, _| willing(seen));
        open(&server).store.put_blob(&blob(&content), &content).unwrap();
        let [put] = &puts(&server)[..] else { panic!("{:?}", server.lines()) };
        assert!(put.body == content && put.header("content-length") == Some(&size.to_string()), "{size}");
        assert_eq!(put.header("transfer-encoding"), None);
        assert_eq!(put.target, format!("/v2/org/model/blobs/uploads/1?_state=a%2Fb&digest=sha256%3A{}", Digest::of(&content).hex()));
    }
}

#[test]
fn a_blob_that_is_there_is_not_sent() {
    let server = Server::start(|seen, _| if seen.method == "HEAD" { Reply::new(200) } else { willing(seen) });
    open(&server).store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap();
    assert_eq!(server.lines(), [format!("HEAD /v2/org/model/blobs/{}", Digest::of(b"x"))]);
}

/// What distribution answers after a disk that was full: the link to the blob is there, and empty.
#[test]
fn a_blob_that_the_registry_lists_but_cannot_read_is_sent_again() {
    let server = Server::start(|seen, _| if seen.method == "HEAD" { Reply::new(500) } else { willing(seen) });
    open(&server).store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap();
    assert_eq!(puts(&server).len(), 1);

    let server = Server::start(|seen, before| match seen.method.as_str() {
        "HEAD" if before == 0 => Reply::new(404),
        "HEAD" => Reply::new(500),
        "PUT" if before == 0 => Reply::new(500),
        _ => willing(seen),
    });
    let opened = open(&server);
    opened.store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap();
    assert_eq!((puts(&server).len(), opened.pauses().len()), (2, 1), "{:?}", server.lines());
}

#[test]
fn a_blob_is_not_sent_to_a_registry_that_is_out_of_order() {
    for status in [502, 503, 504] {
        let server = Server::start(move |seen, _| if seen.method == "HEAD" { Reply::new(status) } else { willing(seen) });
        let error = open(&server).store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap_err();
        assert!(error.to_string().contains(&status.to_string()) && puts(&server).is_empty(), "{error}");
    }
}

#[test]
fn an_upload_that_is_cut_starts_anew_where_the_registry_kept_nothing() {
    let content: Vec<u8> = (0..=250).cycle().take(4 * MIB).collect();
    for cut in [0, 1, 300_000, 2 * MIB, 4 * MIB] {
        let server = Server::start(move |seen, before| match seen.method.as_str() {
            "PUT" if before < 2 => Reply::cut_after(cut),
            _ => willing(seen),
        });
        let opened = open(&server);
        opened.store.put_blob(&blob(&content), &content).unwrap();
        assert!(puts(&server).len() == 3 && puts(&server)[2].body == content, "{cut}");
        assert_eq!(opened.pauses().len(), 2, "{cut}");
        let count = |method: &str| server.lines().iter().filter(|line| line.starts_with(method)).count();
        assert_eq!(count("POST"), 3, "{cut}");
    }
}

#[test]
fn an_answer_lost_after_the_last_byte_costs_no_second_upload() {
    let done = AtomicUsize::new(0);
    let server = Server::start(move |seen, _| match seen.method.as_str() {
        "PUT" => {
            done.store(1, Ordering::SeqCst);
            Reply::cut_after(usize::MAX)
        }
        "HEAD" if done.load(Ordering::SeqCst) == 1 => Reply::new(200),
        _ => willing(seen),
    });
    open(&server).store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap();
    assert_eq!(puts(&server).len(), 1);
}

#[test]
fn server_errors_during_an_upload_are_ridden_out() {
    let server = Server::start(|seen, before| match (seen.method.as_str(), before) {
        ("POST", 0) => Reply::new(503).with("retry-after", "3"),
        ("PUT", 0) => Reply::new(500),
        ("PUT", 1) => Reply::new(429).with("retry-after", "5"),
        _ => willing(seen),
    });
    let opened = open(&server);
    opened.store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap();
    let pauses = opened.pauses();
    assert!(pauses.len() == 3 && pauses[0].as_secs() == 3 && pauses[2].as_secs() == 5, "{pauses:?}");
}

#[test]
fn a_token_that_expires_during_an_upload_is_replaced() {
    let tokens = AtomicUsize::new(0);
    let server = Server::start(move |seen, before| {
        let host = seen.header("host").unwrap();
        let ask = Reply::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token""#));
        match (seen.method.as_str(), seen.header("authorization")) {
            _ if seen.target.starts_with("/token") => {
                Reply::new(200).body(format!(r#"{{"token":"t{}"}}"#, tokens.fetch_add(1, Ordering::SeqCst)))
            }
            (_, None) => ask,
            ("PUT", _) if before == 0 => ask,
            _ => willing(seen),
        }
    });
    let opened = open(&server);
    opened.store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap();
    let sent: Vec<_> = puts(&server).iter().map(|put| put.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer t0", "Bearer t1"]);
    assert_eq!(opened.pauses(), [Duration::ZERO]);
}

#[test]
fn a_source_that_lies_about_its_length_is_never_committed() {
    let promised = vec![1; MIB];
    for given in [vec![1; MIB - 1], vec![1; MIB + 1], Vec::new()] {
        let server = Server::start(|seen, _| willing(seen));
        let opened = open(&server);
        let error = opened.store.put_blob(&blob(&promised), &given).unwrap_err();
        assert!(matches!(&error, StoreError::Source { .. }), "{error}");
        assert!(all_words(&error).contains("should have 1048576 bytes"), "{}", all_words(&error));
        assert!(puts(&server).iter().all(|put| put.body.len() < MIB), "the server must not have all bytes it waits for");
        assert!(opened.pauses().is_empty(), "no use to try again");
        assert!(server.lines().last().unwrap().starts_with("DELETE "), "{:?}", server.lines());
    }
}

#[test]
fn a_source_that_cannot_be_opened_keeps_its_own_words() {
    struct Missing;
    impl BlobSource for Missing {
        fn open(&self) -> io::Result<Box<dyn Read + Send>> {
            Err(io::Error::other("shard-3.safetensors is gone"))
        }
    }
    let server = Server::start(|seen, _| willing(seen));
    let error = open(&server).store.put_blob(&blob(b"x"), &Missing).unwrap_err();
    assert!(all_words(&error).contains("shard-3.safetensors is gone"), "{}", all_words(&error));
}

#[test]
fn an_upload_on_another_host_gets_no_credentials() {
    let other = Server::start(|seen, _| willing(seen));
    let elsewhere = format!("http://{}/upload/1?sig=x", other.host);
    let server = Server::start(move |seen, _| match (seen.method.as_str(), seen.header("authorization")) {
        (_, None) => Reply::new(401).with("www-authenticate", "Basic realm=x"),
        ("POST", _) => Reply::new(202).with("location", elsewhere.clone()),
        _ => willing(seen),
    });
    let (_dir, options) = authfile(&server.host, PASSWORD);
    open_with(&server.host, &options).store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap();
    let [put] = &other.log()[..] else { panic!("{:?}", other.lines()) };
    assert_eq!((put.header("authorization"), put.body.as_slice()), (None, &b"x"[..]));
    assert_eq!(put.target, format!("/upload/1?sig=x&digest=sha256%3A{}", Digest::of(b"x").hex()));
}

#[test]
fn refusals_of_an_upload_say_why() {
    let json = |code: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#);
    for (on, status, code, words, hint) in [
        ("POST", 403, "DENIED", "does not allow POST", "robot account"),
        ("POST", 404, "NAME_UNKNOWN", "there is no repository", "create the repository"),
        ("PUT", 413, "SIZE_INVALID", "as too large: no (SIZE_INVALID)", "MAXIMUM_LAYER_SIZE"),
        ("PUT", 400, "DIGEST_INVALID", "received other bytes than those of sha256:", "changed while it was pushed"),
        ("PUT", 403, "DENIED", "no (DENIED)", "robot account"),
        ("PUT", 403, "QUOTA_EXCEEDED", "no (QUOTA_EXCEEDED)", "ask for a larger one"),
        ("PUT", 412, "QUOTA_EXCEEDED", "no (QUOTA_EXCEEDED)", "ask for a larger one"),
    ] {
        let body = json(code);
        let server = Server::start(move |seen, _| if seen.method == on { Reply::new(status).body(body.clone()) } else { willing(seen) });
        let opened = open(&server);
        let error = opened.store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap_err();
        assert!(error.to_string().contains(words) && error.hint().unwrap().contains(hint), "{error} {:?}", error.hint());
        assert!(opened.pauses().is_empty(), "{error}");
    }
}

#[test]
fn an_upload_session_without_a_usable_address_is_refused() {
    for location in ["file:///x", "", "http://u:CANARY@x/"] {
        let server =
            Server::start(move |seen, _| if seen.method == "POST" { Reply::new(202).with("location", location) } else { willing(seen) });
        let error = open(&server).store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap_err();
        assert!(error.to_string().starts_with("will not follow the registry to ") && !all_words(&error).contains("CANARY"), "{error}");
    }
}

#[test]
fn a_registry_that_stored_something_else_is_caught() {
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "PUT" => Reply::new(201).with("docker-content-digest", Digest::of(b"other").to_string()),
        _ => willing(seen),
    });
    let error = open(&server).store.put_blob(&blob(b"x"), &b"x".to_vec()).unwrap_err();
    assert!(matches!(&error, StoreError::Registry(inner) if matches!(**inner, RegistryError::DigestChanged { .. })), "{error}");
}

#[test]
fn a_refusal_before_the_last_byte_is_heard() {
    let content = vec![1; 32 * MIB];
    let server =
        Server::start(|seen, _| if seen.method == "PUT" { Reply::new(413).with("connection", "close").early() } else { willing(seen) });
    let opened = open(&server);
    let error = opened.store.put_blob(&blob(&content), &content).unwrap_err();
    assert!(error.to_string().contains("refused the upload as too large"), "{error}");
    assert!(opened.pauses().is_empty());
}
