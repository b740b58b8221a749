//! Uploads that break off and go on, and chunks in general.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const MIB: usize = 1 << 20;

fn pattern(size: usize) -> Vec<u8> {
    (0..=250).cycle().map(|byte: u8| byte.wrapping_mul(31)).take(size).collect()
}

fn with_method(server: &Server, method: &str) -> Vec<Seen> {
    server.log().into_iter().filter(|seen| seen.method == method).collect()
}

fn ranges(server: &Server) -> Vec<String> {
    with_method(server, "PATCH").iter().filter_map(|seen| seen.header("content-range").map(str::to_owned)).collect()
}

fn chunked(server: &Server, chunk: usize) -> Opened {
    open_with(&server.host, &StoreOptions { chunk_size: Some(chunk as u64), ..StoreOptions::default() })
}

/// A session that lost its first request after `kept` bytes and knows so.
fn keeping(method: &'static str, kept: usize) -> Server {
    Server::start(move |seen, _| match seen.method.as_str() {
        other if other == method && seen.target.contains("_state=a%2Fb") => Reply::cut_after(kept),
        "GET" if seen.target.contains("uploads") => {
            Reply::new(204).with("range", format!("0-{}", kept - 1)).with("location", "/v2/org/model/blobs/uploads/1?_state=kept")
        }
        "PATCH" => Reply::new(202).with("location", "/v2/org/model/blobs/uploads/1?_state=all"),
        _ => willing(seen),
    })
}

#[test]
fn an_upload_goes_on_where_it_broke_off() {
    for kept in [2, 300_000, 3 * MIB - 1] {
        let content = pattern(3 * MIB);
        for (method, new) in [("PUT", false), ("PATCH", true)] {
            let server = keeping(method, kept);
            let opened = open(&server);
            let digest = if new {
                opened.store.put_new_blob(content.len() as u64, &content).unwrap()
            } else {
                opened.store.put_blob(&blob(&content), &content).map(|()| Digest::of(&content)).unwrap()
            };
            assert_eq!(digest, Digest::of(&content), "{method} {kept}");
            let rest = with_method(&server, "PATCH").pop().unwrap();
            assert_eq!(rest.header("content-range"), Some(&*format!("{kept}-{}", content.len() - 1)), "{method} {kept}");
            assert!(rest.body == content[kept..] && rest.target.ends_with("_state=kept"), "{method} {kept}: no byte twice");
            let put = with_method(&server, "PUT").pop().unwrap();
            assert!(put.body.is_empty() && put.target.contains("_state=all&digest=sha256%3A"), "{}", put.target);
            assert_eq!((with_method(&server, "POST").len(), with_method(&server, "DELETE").len()), (1, 0), "{method} {kept}");
        }
    }
}

#[test]
fn an_upload_of_which_all_bytes_arrived_needs_only_its_end() {
    let content = pattern(MIB);
    let server = Server::start(|seen, before| match seen.method.as_str() {
        "PATCH" => Reply::cut_after(MIB),
        "GET" if seen.target.contains("uploads") => Reply::new(204).with("range", format!("0-{}", MIB - 1)),
        _ if before > 0 && seen.method == "PUT" => Reply::new(500),
        _ => willing(seen),
    });
    assert_eq!(open(&server).store.put_new_blob(MIB as u64, &content).unwrap(), Digest::of(&content));
    assert_eq!((with_method(&server, "PATCH").len(), with_method(&server, "PUT").len()), (1, 1));
}

/// More than was sent, less than was confirmed, or no number at all.
#[test]
fn a_registry_that_lies_about_what_it_has_gets_everything_anew() {
    for range in ["0-99999999", "0-9", "bytes=0--1", "0-0", "5-10", "", "0-18446744073709551615"] {
        let content = pattern(3 * MIB);
        let server = Server::start(move |seen, before| match seen.method.as_str() {
            // the second chunk of the first session breaks
            "PATCH" if before == 1 => Reply::cut_after(1000),
            "PATCH" => Reply::new(202),
            "GET" if seen.target.contains("uploads") => Reply::new(204).with("range", range),
            _ => willing(seen),
        });
        let opened = chunked(&server, MIB);
        opened.store.put_blob(&blob(&content), &content).unwrap();
        let all: Vec<u8> = with_method(&server, "PATCH")[2..].iter().flat_map(|seen| seen.body.clone()).collect();
        assert!(all == content, "{range}: from the first byte");
        assert_eq!((with_method(&server, "POST").len(), with_method(&server, "DELETE").len()), (2, 1), "{range}");
    }
}

#[test]
fn a_registry_that_always_lies_is_given_up_in_the_end() {
    let content = pattern(3 * MIB);
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "PATCH" => Reply::cut_after(1000),
        "GET" if seen.target.contains("uploads") => Reply::new(204).with("range", "0-999999999"),
        _ => willing(seen),
    });
    let opened = chunked(&server, MIB);
    assert!(opened.store.put_blob(&blob(&content), &content).is_err());
    assert_eq!((opened.pauses().len(), with_method(&server, "POST").len(), with_method(&server, "DELETE").len()), (4, 5, 5));
}

/// Attempts that move on do not count: a link that drops every few chunks carries a blob of any size.
#[test]
fn an_upload_that_moves_on_between_breaks_is_not_given_up() {
    let content = pattern(12 * MIB);
    // as many bytes are there as requests came before
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |seen, _| match seen.method.as_str() {
        "PUT" if asked.load(Ordering::SeqCst) == 0 => Reply::cut_after(MIB),
        "GET" if seen.target.contains("uploads") => {
            let count = asked.fetch_add(1, Ordering::SeqCst) + 1;
            Reply::new(204).with("range", format!("0-{}", count * MIB - 1))
        }
        "PATCH" if asked.load(Ordering::SeqCst) < 11 => Reply::cut_after(MIB),
        "PATCH" => Reply::new(202),
        _ => willing(seen),
    });
    let opened = open(&server);
    opened.store.put_blob(&blob(&content), &content).unwrap();
    assert_eq!(opened.pauses().len(), 11);
    let sent: usize = with_method(&server, "PATCH").iter().map(|seen| seen.body.len()).sum();
    assert!(sent + MIB == content.len(), "each byte once: {sent}");
}

/// Distribution specification, "Pushing a blob in chunks": chunks in order, `Content-Range` of the form `^[0-9]+-[0-9]+$`, both ends
/// inclusive, `Content-Length` of the chunk, each request to the `Location` of the answer before; the last request a `PUT` with the digest.
#[test]
fn chunks_go_up_in_order_each_to_the_place_that_the_last_answer_names() {
    let content = pattern(2 * MIB + 1234);
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "PATCH" => {
            let end = seen.header("content-range").unwrap().split('-').nth(1).unwrap().to_owned();
            Reply::new(202).with("range", format!("0-{end}")).with("location", format!("/v2/org/model/blobs/uploads/1?after={end}"))
        }
        _ => willing(seen),
    });
    chunked(&server, MIB).store.put_blob(&blob(&content), &content).unwrap();
    assert_eq!(ranges(&server), ["0-1048575", "1048576-2097151", "2097152-2098385"]);
    let patches = with_method(&server, "PATCH");
    let targets: Vec<&str> = patches.iter().map(|seen| seen.target.split('?').nth(1).unwrap()).collect();
    assert_eq!(targets, ["_state=a%2Fb", "after=1048575", "after=2097151"]);
    for patch in &patches {
        assert_eq!(patch.header("content-length"), Some(&*patch.body.len().to_string()));
        assert_eq!(patch.header("transfer-encoding"), None);
    }
    assert!(patches.iter().flat_map(|seen| seen.body.clone()).collect::<Vec<u8>>() == content);
    let put = with_method(&server, "PUT").pop().unwrap();
    assert_eq!(put.target, format!("/v2/org/model/blobs/uploads/1?after=2098385&digest=sha256%3A{}", Digest::of(&content).hex()));
}

/// Distribution specification, "Pushing a blob in chunks": `OCI-Chunk-Min-Length` binds all chunks but the last; registries in the field also
/// send `OCI-Chunk-Max-Length`.
#[test]
fn the_registrys_own_bounds_hold_for_chunks() {
    for (least, most, asked, first) in [
        (Some(512 * 1024), None, Some(100 * 1024), 512 * 1024),
        (None, Some(256 * 1024), None, 256 * 1024),
        (None, Some(256 * 1024), Some(512 * 1024), 256 * 1024),
    ] {
        let content = pattern(MIB);
        let server = Server::start(move |seen, _| match seen.method.as_str() {
            "POST" => {
                let reply = willing(seen);
                let reply = least.map_or(reply.clone(), |least: usize| reply.with("OCI-Chunk-Min-Length", least.to_string()));
                most.map_or(reply.clone(), |most: usize| reply.with("OCI-Chunk-Max-Length", most.to_string()))
            }
            "PATCH" => Reply::new(202),
            _ => willing(seen),
        });
        let options = StoreOptions { chunk_size: asked, ..StoreOptions::default() };
        open_with(&server.host, &options).store.put_blob(&blob(&content), &content).unwrap();
        let lengths: Vec<usize> = with_method(&server, "PATCH").iter().map(|seen| seen.body.len()).collect();
        assert!(lengths.iter().all(|length| *length == first) && lengths.len() == MIB / first, "{lengths:?}");
    }
}

#[test]
fn chunks_that_only_the_user_wants_give_way_to_a_registry_that_refuses_them() {
    let content = pattern(3 * MIB);
    // Google takes one PATCH and no second
    let server = Server::start(|seen, before| match seen.method.as_str() {
        "PATCH" if before == 0 => Reply::new(202),
        "PATCH" => Reply::new(416),
        _ => willing(seen),
    });
    let opened = chunked(&server, MIB);
    opened.store.put_blob(&blob(&content), &content).unwrap();
    let whole = with_method(&server, "PUT").pop().unwrap();
    assert!(whole.body == content && opened.pauses().is_empty());
    assert_eq!((with_method(&server, "POST").len(), with_method(&server, "DELETE").len()), (2, 1));
}

#[test]
fn a_token_that_expires_between_chunks_costs_no_chunk() {
    let content = pattern(3 * MIB);
    let tokens = AtomicUsize::new(0);
    let refused = AtomicUsize::new(0);
    let server = Server::start(move |seen, _| {
        let host = seen.header("host").unwrap();
        let ask = Reply::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token""#));
        match (seen.method.as_str(), seen.header("authorization")) {
            _ if seen.target.starts_with("/token") => {
                Reply::new(200).body(format!(r#"{{"token":"t{}"}}"#, tokens.fetch_add(1, Ordering::SeqCst)))
            }
            (_, None) => ask,
            ("PATCH", _) => match seen.header("content-range") {
                Some("1048576-2097151") if refused.fetch_add(1, Ordering::SeqCst) == 0 => ask,
                _ => Reply::new(202),
            },
            ("GET", _) if seen.target.contains("uploads") => Reply::new(204).with("range", "0-1048575"),
            _ => willing(seen),
        }
    });
    let opened = chunked(&server, MIB);
    opened.store.put_blob(&blob(&content), &content).unwrap();
    assert_eq!(ranges(&server), ["0-1048575", "1048576-2097151", "1048576-2097151", "2097152-3145727"]);
    assert_eq!(opened.pauses(), [Duration::ZERO]);
}
