//! Parts of blobs: what registries answer to a range.

use std::io::Read as _;

use super::*;

/// What is read of `0123456789` from the fourth byte on, and how many requests that took.
fn read_from_3(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (String, usize) {
    let server = Server::start(move |seen, _| if seen.target.contains("/blobs/") { answer(seen) } else { willing(seen) });
    let mut text = String::new();
    open(&server).store.get_blob_from(&blob(b"0123456789"), 3).unwrap().read_to_string(&mut text).unwrap();
    (text, server.lines().len())
}

#[test]
fn a_part_is_right_whatever_a_registry_makes_of_ranges() {
    let unless_whole =
        |wrong: fn() -> Reply| move |seen: &Seen| if seen.header("range").is_some() { wrong() } else { Reply::new(200).body("0123456789") };
    let good = || Reply::new(206).with("content-range", "bytes 3-9/10").body("3456789");
    let elsewhere = || Reply::new(206).with("content-range", "bytes 0-9/10").body("0123456789");
    let nowhere = || Reply::new(206).body("0123456789");
    let ignored = || Reply::new(200).body("0123456789");
    for (answer, requests) in [(good as fn() -> Reply, 1), (ignored, 1), (elsewhere, 2), (nowhere, 2), (|| Reply::new(416), 2)] {
        assert_eq!(read_from_3(unless_whole(answer)), ("3456789".to_owned(), requests), "{:?}", answer());
    }
}

#[test]
fn a_blob_that_is_not_there_is_said_so_for_a_part_too() {
    let server = Server::start(|seen, _| willing(seen));
    let opened = open(&server);
    assert!(matches!(opened.store.get_blob_from(&blob(b"0123456789"), 3), Err(StoreError::BlobNotFound { .. })));
    let behind = std::io::read_to_string(opened.store.get_blob_from(&blob(b"0123"), 4).unwrap()).unwrap();
    assert!(behind.is_empty(), "nothing is behind the end");
}
