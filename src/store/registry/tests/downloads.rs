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

/// The first `most` bytes from where a range begins, then the end of the connection.
fn broken(seen: &Seen, most: usize) -> Reply {
    let rest = &WEIGHTS[start(seen)..];
    let sent = &rest[..rest.len().min(most)];
    let reply = if start(seen) == 0 { Reply::new(200) } else { part(seen) };
    let reply = reply.body(sent);
    if sent.len() < rest.len() { reply.promising(rest.len()) } else { reply }
}

const WEIGHTS: &[u8] = b"0123456789abcdefghij";

fn start(seen: &Seen) -> usize {
    seen.header("range").map_or(0, |range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap())
}

fn part(seen: &Seen) -> Reply {
    Reply::new(206).with("content-range", format!("bytes {}-{}/{}", start(seen), WEIGHTS.len() - 1, WEIGHTS.len()))
}

/// What comes of reading the weights, and the ranges that were asked for.
fn pulled(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> (Result<String, String>, Vec<usize>, usize) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |seen, _| {
        if !seen.target.contains("/blobs/") {
            return willing(seen);
        }
        answer(seen, count.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    });
    let opened = open(&server);
    let mut text = String::new();
    let read = opened.store.get_blob(&blob(WEIGHTS)).map_err(|error| all_words(&error));
    let read = read.and_then(|mut reader| reader.read_to_string(&mut text).map_err(|error| format!("{error:?}")));
    let asked = server.log().iter().filter(|seen| seen.target.contains("/blobs/")).map(start).collect();
    (read.map(|_| text), asked, opened.pauses().len())
}

#[expect(clippy::unnecessary_wraps, reason = "stands for what `pulled` gives")]
fn weights() -> Result<String, String> {
    Ok(String::from_utf8(WEIGHTS.to_vec()).unwrap())
}

#[test]
fn a_body_that_breaks_off_is_asked_for_its_rest() {
    let (text, asked, pauses) = pulled(|seen, before| broken(seen, if before == 0 { 7 } else { 100 }));
    assert_eq!((text, asked, pauses), (weights(), vec![0, 7], 1));
}

#[test]
fn what_has_arrived_is_not_asked_for_again_however_often_the_line_breaks() {
    let (text, asked, _) = pulled(|seen, _| broken(seen, 5));
    assert_eq!((text, asked), (weights(), vec![0, 5, 10, 15]));
}

#[test]
fn a_line_that_gives_a_byte_at_a_time_is_given_up() {
    let (text, asked, _) = pulled(|seen, _| broken(seen, 1));
    let error = text.unwrap_err();
    assert!(error.contains("Broken"), "{error}");
    assert_eq!(asked, [0, 1, 2, 3, 4], "a few times, not twenty");
}

#[test]
fn a_registry_without_ranges_is_read_up_to_where_it_broke_off() {
    let whole = || Reply::new(200).body(WEIGHTS);
    let elsewhere = || Reply::new(206).with("content-range", "bytes 0-19/20").body(WEIGHTS);
    let other_blob = |seen: &Seen| Reply::new(206).with("content-range", format!("bytes {}-20/21", start(seen))).body("x");
    for (wrong, requests) in [
        (Box::new(move |_: &Seen| whole()) as Box<dyn Fn(&Seen) -> Reply + Send + Sync>, 2),
        (Box::new(move |_: &Seen| elsewhere()), 3),
        (Box::new(other_blob), 3),
        (Box::new(|_: &Seen| Reply::new(206).body("x")), 3),
        (Box::new(|_: &Seen| Reply::new(416)), 3),
    ] {
        let (text, asked, _) = pulled(move |seen, before| match (before, start(seen)) {
            (0, _) => broken(seen, 7),
            (_, 0) => whole(),
            _ => wrong(seen),
        });
        assert_eq!((text, asked.len()), (weights(), requests), "{asked:?}");
    }
}

#[test]
fn a_server_that_gives_parts_of_parts_is_asked_for_the_next_one() {
    let (text, asked, _) = pulled(|seen, before| {
        let (from, to) = (start(seen), (start(seen) + 8).min(20));
        match before {
            0 => broken(seen, 4),
            _ => Reply::new(206).with("content-range", format!("bytes {from}-{}/*", to - 1)).body(&WEIGHTS[from..to]),
        }
    });
    assert_eq!((text, asked), (weights(), vec![0, 4, 12]));
}

#[test]
fn a_redirect_is_followed_anew_for_the_rest() {
    let store = Server::start(|seen, before| broken(seen, if before == 0 && start(seen) == 0 { 7 } else { 100 }));
    let host = store.host.clone();
    let hub = Server::start(move |seen, before| match seen.target.as_str() {
        target if target.contains("/blobs/") => Reply::new(307).with("location", format!("http://{host}/signed?expires={before}")),
        _ => willing(seen),
    });
    let mut text = String::new();
    open(&hub).store.get_blob(&blob(WEIGHTS)).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(Ok(text), weights());
    let targets: Vec<String> = store.log().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(targets, ["/signed?expires=0", "/signed?expires=1"], "an address that was signed for the first request expires");
}

#[test]
fn the_digest_is_that_of_all_parts_together() {
    let (text, ..) = pulled(|seen, before| if before == 0 { broken(seen, 7) } else { part(seen).body(vec![b'!'; 13]) });
    let error = text.unwrap_err();
    assert!(error.contains("Digest {"), "{error}");
}

#[test]
fn a_blob_that_goes_away_under_a_download_is_said_so() {
    let (text, asked, _) = pulled(|seen, before| if before == 0 { broken(seen, 7) } else { Reply::new(404) });
    assert!(text.unwrap_err().contains("BlobNotFound"));
    assert_eq!(asked, [0, 7]);
}

#[test]
fn a_shorter_blob_is_known_by_its_end_and_not_asked_for_again() {
    let (text, asked, _) = pulled(|_, _| Reply::new(200).body(&WEIGHTS[..12]));
    assert!(text.unwrap_err().contains("Size {"));
    assert_eq!(asked, [0]);
}

#[test]
fn a_body_that_stalls_is_asked_for_its_rest() {
    let server = Server::start(|seen, _| match seen.target.contains("/blobs/") {
        true if start(seen) == 0 => Reply::new(200).body(&WEIGHTS[..7]).promising(20).lingering(),
        true => part(seen).body(&WEIGHTS[start(seen)..]),
        false => willing(seen),
    });
    let opened = open_patient(&server.host, &StoreOptions::default(), Duration::from_millis(200));
    let mut text = String::new();
    opened.store.get_blob(&blob(WEIGHTS)).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(Ok(text), weights());
}
