//! Blobs whose digest becomes known on their way up.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const MIB: usize = 1 << 20;

fn pattern(size: usize) -> Vec<u8> {
    (0..=250).cycle().map(|byte: u8| byte.wrapping_mul(31)).take(size).collect()
}

/// Methods and their order, without pings.
fn methods(server: &Server) -> Vec<String> {
    server.lines().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn with_method(server: &Server, method: &str) -> Vec<Seen> {
    server.log().into_iter().filter(|seen| seen.method == method).collect()
}

/// A source that counts how often it is opened.
struct Counted(Vec<u8>, AtomicUsize);

impl BlobSource for Counted {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.open()
    }
}

#[test]
fn a_new_blob_is_read_once_and_its_digest_follows() {
    for size in [256 * 1024 + 1, MIB, 3 * MIB + 17] {
        let source = Counted(pattern(size), AtomicUsize::new(0));
        let server = Server::start(move |seen, _| match seen.method.as_str() {
            "PATCH" => {
                Reply::new(202).with("location", "/v2/org/model/blobs/uploads/1?_state=next").with("range", format!("0-{}", size - 1))
            }
            _ => willing(seen),
        });
        let digest = open(&server).store.put_new_blob(size as u64, &source).unwrap();
        assert_eq!((digest, source.1.into_inner()), (Digest::of(&source.0), 1), "{size}");
        assert_eq!(methods(&server), ["POST", "PATCH", "PUT"], "{size}: nothing is asked before");
        let (patch, put) = (&with_method(&server, "PATCH")[0], &with_method(&server, "PUT")[0]);
        assert!(patch.body == source.0 && patch.header("content-length") == Some(&size.to_string()));
        assert_eq!((patch.header("content-range"), patch.header("transfer-encoding")), (None, None));
        assert_eq!(patch.header("content-type"), Some("application/octet-stream"));
        assert_eq!(put.target, format!("/v2/org/model/blobs/uploads/1?_state=next&digest=sha256%3A{}", digest.hex()));
        assert_eq!(put.header("content-length"), Some("0"));
    }
}

#[test]
fn a_small_new_blob_goes_up_in_one_request() {
    for size in [0, 1, 1000] {
        let server = Server::start(|seen, _| willing(seen));
        assert_eq!(open(&server).store.put_new_blob(size as u64, &pattern(size)).unwrap(), Digest::of(&pattern(size)));
        assert_eq!(methods(&server), ["POST", "PUT"], "{size}");
    }
}

#[test]
fn a_registry_that_refuses_to_stream_is_asked_once_only() {
    for status in [400, 404, 405, 415, 416] {
        let content = pattern(MIB);
        let server = Server::start(move |seen, _| if seen.method == "PATCH" { Reply::new(status) } else { willing(seen) });
        let opened = open(&server);
        for _ in 0..2 {
            assert_eq!(opened.store.put_new_blob(MIB as u64, &content).unwrap(), Digest::of(&content));
        }
        assert_eq!(methods(&server), ["POST", "PATCH", "DELETE", "POST", "PUT", "POST", "PUT"], "{status}");
        assert!(with_method(&server, "PUT").iter().all(|put| put.body == content));
        assert!(opened.pauses().is_empty(), "{status}");
    }
}

#[test]
fn a_proxy_that_bounds_bodies_gets_chunks_from_then_on() {
    let content = pattern(20 * MIB);
    let server = Server::start(|seen, _| match (seen.method.as_str(), seen.header("content-length")) {
        ("PATCH", Some("20971520")) => Reply::new(413),
        ("PATCH", _) => Reply::new(202),
        _ => willing(seen),
    });
    let opened = open(&server);
    for _ in 0..2 {
        assert_eq!(opened.store.put_new_blob(content.len() as u64, &content).unwrap(), Digest::of(&content));
    }
    assert_eq!(methods(&server)[..4], ["POST", "PATCH", "DELETE", "POST"]);
    assert_eq!(methods(&server)[4..], ["PATCH", "PATCH", "PUT", "POST", "PATCH", "PATCH", "PUT"]);
    let sent: Vec<u8> = with_method(&server, "PATCH")[1..3].iter().flat_map(|patch| patch.body.clone()).collect();
    assert!(sent == content, "in order");
}

#[test]
fn a_source_of_another_length_is_never_committed() {
    for given in [MIB - 1, MIB + 1, 0, 3 * MIB] {
        let server = Server::start(|seen, _| willing(seen));
        let opened = open(&server);
        let error = opened.store.put_new_blob(MIB as u64, &pattern(given)).unwrap_err();
        assert!(matches!(&error, StoreError::Unhashed { size, .. } if *size == MIB as u64), "{given}: {error}");
        assert!(all_words(&error).contains("should have 1048576 bytes"), "{}", all_words(&error));
        assert!(with_method(&server, "PUT").is_empty() && opened.pauses().is_empty(), "{given}");
        assert_eq!(methods(&server).last().unwrap(), "DELETE", "{given}: the session is given back");
    }
    let server = Server::start(|seen, _| willing(seen));
    assert!(open(&server).store.put_new_blob(0, &pattern(1)).is_err());
    assert!(with_method(&server, "PUT").is_empty());
}

#[test]
fn a_stream_that_breaks_starts_anew_where_the_registry_kept_nothing() {
    for cut in [0, 300_000, MIB - 1] {
        let content = pattern(MIB);
        let server = Server::start(move |seen, before| match seen.method.as_str() {
            "PATCH" if before < 2 => Reply::cut_after(cut),
            _ => willing(seen),
        });
        let opened = open(&server);
        assert_eq!(opened.store.put_new_blob(MIB as u64, &content).unwrap(), Digest::of(&content), "{cut}");
        assert!(with_method(&server, "PATCH").last().unwrap().body == content && opened.pauses().len() == 2, "{cut}");
    }
}

#[test]
fn an_answer_lost_after_the_digest_costs_no_second_upload() {
    let done = AtomicUsize::new(0);
    let server = Server::start(move |seen, _| match seen.method.as_str() {
        "PUT" => {
            done.store(1, Ordering::SeqCst);
            Reply::cut_after(usize::MAX)
        }
        "HEAD" if done.load(Ordering::SeqCst) == 1 => Reply::new(200),
        _ => willing(seen),
    });
    let content = pattern(MIB);
    assert_eq!(open(&server).store.put_new_blob(MIB as u64, &content).unwrap(), Digest::of(&content));
    assert_eq!(methods(&server), ["POST", "PATCH", "PUT", "HEAD", "DELETE"], "whoever stored it, the session is given back");
}
