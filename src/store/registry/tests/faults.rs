//! What any request may meet.

use super::*;

#[test]
fn a_burst_of_server_errors_is_ridden_out() {
    for status in [408, 429, 499, 500, 502, 503, 504, 522] {
        let server = Server::start(move |seen, before| match seen.method.as_str() {
            "HEAD" if before < 4 => Reply::new(status),
            "HEAD" => Reply::new(200),
            _ => willing(seen),
        });
        let opened = open(&server);
        assert!(opened.store.has_blob(&blob(b"x")).unwrap(), "{status}");
        assert_eq!(opened.pauses().len(), 4, "{status}");
    }
}

#[test]
fn a_refusal_is_not_tried_again() {
    for status in [400, 403, 405, 410, 501] {
        let server = Server::start(move |seen, _| if seen.method == "HEAD" { Reply::new(status) } else { willing(seen) });
        let opened = open(&server);
        let error = opened.store.has_blob(&blob(b"x")).unwrap_err();
        assert_eq!((server.lines().len(), opened.pauses().len()), (1, 0), "{status}: {error}");
    }
}

#[test]
fn retry_after_is_obeyed_in_seconds_and_as_a_date() {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(90));
    for (header, least, most) in [("17", 17, 17), ("86400", 120, 120), (date.as_str(), 60, 90)] {
        let header = header.to_owned();
        let server = Server::start(move |seen, before| match seen.method.as_str() {
            "HEAD" if before == 0 => Reply::new(429).with("retry-after", header.clone()),
            _ => willing(seen),
        });
        let opened = open(&server);
        opened.store.has_blob(&blob(b"x")).unwrap();
        let pauses = opened.pauses();
        assert!(pauses.len() == 1 && (least..=most).contains(&pauses[0].as_secs()), "{pauses:?}");
    }
}

#[test]
fn a_limit_that_stays_is_reported_with_the_registrys_words() {
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down\u001b[2J"}]}"#;
    let server = Server::start(move |seen, _| if seen.target == "/v2/" { Reply::new(200) } else { Reply::new(429).body(body) });
    let opened = open(&server);
    let error = opened.store.tags().unwrap_err();
    assert_eq!(error.to_string(), format!("{} limits the rate of requests: slow down [2J (TOOMANYREQUESTS)", server.host));
    assert!(error.hint().is_some());
    assert_eq!(opened.pauses().len(), 4);

    let limited =
        || Reply::new(429).with("retry-after", "3").with("ratelimit-limit", "100;w=21600").with("ratelimit-remaining", "0;w=21600");
    let server = Server::start(move |seen, _| if seen.target == "/v2/" { Reply::new(200) } else { limited() });
    let error = open(&server).store.tags().unwrap_err().to_string();
    assert!(error.ends_with("of requests: Retry-After: 3, RateLimit-Limit: 100;w=21600, RateLimit-Remaining: 0;w=21600"), "{error}");
}

#[test]
fn a_registry_that_is_down_is_reported_soon() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let opened = open_with(&free.to_string(), &StoreOptions::default());
    let error = opened.store.tags().unwrap_err();
    assert!(all_words(&error).contains("Connection refused"), "{}", all_words(&error));
    assert_eq!(error.to_string(), format!("cannot connect to {free}"));
    assert!(opened.pauses().len() == 2 && opened.pauses().iter().sum::<Duration>() <= Duration::from_secs(3), "{:?}", opened.pauses());
}

#[test]
fn a_connection_that_is_cut_is_tried_again() {
    let server = Server::start(|seen, before| if seen.method == "HEAD" && before < 2 { Reply::cut_after(0) } else { willing(seen) });
    let opened = open(&server);
    assert!(!opened.store.has_blob(&blob(b"x")).unwrap());
    assert_eq!(opened.pauses().len(), 2);
}

#[test]
fn silence_is_given_up_and_named() {
    let server = Server::start(|seen, _| if seen.method == "HEAD" { Reply::silent() } else { willing(seen) });
    let opened = open_patient(&server.host, &StoreOptions::default(), Duration::from_millis(200));
    let error = opened.store.has_blob(&blob(b"x")).unwrap_err();
    assert!(error.to_string().ends_with("made no progress for 0.2 s"), "{error}");
    assert_eq!(server.lines().len(), 5);
}

#[test]
fn a_server_that_is_no_registry_is_said_so() {
    let server = Server::start(|_, _| Reply::new(404).body("<html>CANARY</html>"));
    let error = open(&server).store.tags().unwrap_err();
    assert_eq!(error.to_string(), format!("GET http://{}/v2/ was answered with status 404", server.host));
}

#[test]
fn a_blob_is_followed_to_another_host_without_credentials() {
    let content = b"the content".to_vec();
    let (body, wanted) = (content.clone(), blob(&content));
    let store = Server::start(move |_, _| Reply::new(200).body(body.clone()));
    let target = format!("http://{}/bucket/x?Signature=CANARY", store.host);
    let server = Server::start(move |seen, _| match (seen.target.as_str(), seen.header("authorization")) {
        (_, None) => Reply::new(401).with("www-authenticate", "Basic realm=\"x\""),
        ("/v2/", _) => Reply::new(200),
        _ => Reply::new(307).with("location", target.clone()),
    });
    let (_dir, options) = authfile(&server.host, PASSWORD);
    let mut read = Vec::new();
    open_with(&server.host, &options).store.get_blob(&wanted).unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, content);
    assert_eq!(store.log().len(), 1);
    assert_eq!(store.log()[0].header("authorization"), None, "credentials stay at home");
    assert!(server.log().last().unwrap().header("authorization").is_some());
}

#[test]
fn circles_and_wrong_schemes_are_not_followed() {
    for (location, reason) in [
        ("/v2/org/model/blobs/again", "it redirects again and again"),
        ("file:///etc/passwd", "it is neither http nor https"),
        ("http://user:CANARY@localhost/?sig=CANARY", "it holds credentials"),
        ("", "the answer has none"),
    ] {
        let server =
            Server::start(move |seen, _| if seen.target == "/v2/" { Reply::new(200) } else { Reply::new(302).with("location", location) });
        let error = open(&server).store.get_blob(&blob(b"x")).err().unwrap();
        assert!(error.to_string().ends_with(reason), "{error}");
        assert!(!all_words(&error).contains("CANARY"), "{}", all_words(&error));
    }
}

#[test]
fn a_blob_that_ends_early_or_differs_is_an_error_to_its_reader() {
    let wanted = blob(b"the content");
    for (reply, words) in [
        (Reply::new(200).body(&b"the con"[..]).truncated(), "broke off"),
        (Reply::new(200).body(&b"the con"[..]), "should have 11 bytes, got 7"),
        (Reply::new(200).body(&b"the content and more"[..]), "should have 11 bytes, got 20"),
        (Reply::new(200).body(&b"THE CONTENT"[..]), "expected digest"),
    ] {
        let reply = reply.clone();
        let server = Server::start(move |seen, _| if seen.target == "/v2/" { Reply::new(200) } else { reply.clone() });
        let error = open(&server).store.get_blob(&wanted).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_missing_blob_is_said_so() {
    let server = Server::start(|seen, _| willing(seen));
    let error = open(&server).store.get_blob(&blob(b"x")).err().unwrap();
    assert!(matches!(&error, StoreError::BlobNotFound { .. }), "{error}");
}

#[test]
fn without_tls_verification_plain_http_is_the_second_choice() {
    let server = Server::start(|seen, _| match seen.target.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(200).body(r#"{"tags":["a"]}"#),
    });
    // a loopback server, treated as one that is not
    let elsewhere = Address::new(&"registry.example.com/a".parse().unwrap());
    let address = Address::new(&format!("{}/org/model", server.host).parse().unwrap());
    let (transport, auth) = (Transport::new(false, Vec::new(), IDLE), Auth::new(address.clone(), Vec::new()));
    let client = Client::new(address, elsewhere.schemes(Some(false)), Vec::new(), transport, auth, Retry::new(|_| ()));
    assert_eq!(listing::tags(&client).unwrap(), ["a"]);
}

#[test]
fn a_ca_file_must_be_readable_pem() {
    let dir = tempfile::tempdir().unwrap();
    let junk = dir.path().join("junk.pem");
    fs_err::write(&junk, "no certificate").unwrap();
    for (file, words) in [
        (junk, "it holds no PEM certificate"),
        (dir.path().join("missing.pem"), "entity not found"),
        (dir.path().to_owned(), "it holds no PEM certificate"),
    ] {
        let options = StoreOptions { ca_file: Some(file.clone()), ..StoreOptions::default() };
        let error = RegistryStore::new(&"quay.io/a/b".parse().unwrap(), Access::Read, &options).err().unwrap();
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        assert!(all_words(&error).contains(words), "{}", all_words(&error));
    }
}

#[test]
fn an_endless_list_is_refused() {
    let server = Server::start(|seen, _| match seen.target.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(200).body(r#"{"tags":[]}"#).with("link", "</v2/org/model/tags/list?last=x>; rel=\"next\""),
    });
    assert!(matches!(open(&server).store.tags().unwrap_err(), StoreError::TooLarge { .. }));
    let server = Server::start(|seen, _| match seen.target.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(200).body("[".repeat(5 << 20)),
    });
    assert!(open(&server).store.tags().unwrap_err().to_string().contains("longer than 4194304 bytes"));
}

#[test]
fn a_registry_that_restarts_is_waited_for_longer_than_one_that_never_was() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    // answers the ping, then is gone
    let once = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    });
    let opened = open_with(&host, &StoreOptions::default());
    let error = opened.store.has_blob(&blob(b"x")).unwrap_err();
    once.join().unwrap();
    assert!(
        matches!(&error, StoreError::Registry(inner) if matches!(**inner, RegistryError::Unreachable { .. } | RegistryError::Broken { .. })),
        "{error}"
    );
    assert_eq!(opened.pauses().len(), 4);
}
