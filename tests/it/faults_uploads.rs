//! Whatever happens to a push or a copy on its way into a registry: the right image arrives, or one error says why not, and no tag ever
//! leads to half an image.

use std::time::{Duration, SystemTime};

use crate::support::fault_proxy::{Fault, Part, Reply, Rule};
use crate::support::faults::{Bench, Case, LARGE, Verb, insta_filters};
use crate::support::registry::{Kind, Registry, Setup};

use Part::{RequestBody, RequestHead, ResponseBody, ResponseHead};

/// What carries the bytes of a blob, whichever way it is sent.
const BYTES: &str = "PUT|PATCH";
const UPLOADS: &str = "/blobs/uploads/";
const MANIFESTS: &str = "/manifests/";

fn judge_all(bench: &Bench, verb: Verb, cases: Vec<Case>) -> String {
    cases.into_iter().enumerate().map(|(number, case)| bench.judge(verb, number, case)).collect()
}

/// Every place at which a connection can end, once each.
fn cuts() -> Vec<(&'static str, &'static str, Part, u64)> {
    let (large, middle) = (LARGE as u64, LARGE as u64 / 2);
    vec![
        ("GET", "/v2/", RequestHead, 0),
        ("GET", "/v2/", ResponseHead, 12),
        ("HEAD", "/blobs/", RequestHead, 0),
        ("HEAD", "/blobs/", RequestHead, 40),
        ("HEAD", "/blobs/", ResponseHead, 0),
        ("HEAD", "/blobs/", ResponseHead, 20),
        ("POST", UPLOADS, RequestHead, 0),
        ("POST", UPLOADS, RequestHead, 33),
        ("POST", UPLOADS, ResponseHead, 0),
        ("POST", UPLOADS, ResponseHead, 80),
        (BYTES, UPLOADS, RequestHead, 0),
        (BYTES, UPLOADS, RequestHead, 99),
        (BYTES, UPLOADS, RequestBody, 0),
        (BYTES, UPLOADS, RequestBody, 1),
        (BYTES, UPLOADS, RequestBody, 65_536),
        (BYTES, UPLOADS, RequestBody, middle),
        (BYTES, UPLOADS, RequestBody, large),
        (BYTES, UPLOADS, ResponseHead, 0),
        (BYTES, UPLOADS, ResponseHead, 30),
        ("PUT", MANIFESTS, RequestHead, 0),
        ("PUT", MANIFESTS, RequestHead, 50),
        ("PUT", MANIFESTS, RequestBody, 1),
        ("PUT", MANIFESTS, RequestBody, 300),
        ("PUT", MANIFESTS, ResponseHead, 0),
        ("PUT", MANIFESTS, ResponseHead, 20),
    ]
}

/// Resets and quiet ends in turn.
fn cut(number: usize) -> (&'static str, Fault) {
    if number % 3 == 2 { ("closed", Fault::Finish) } else { ("reset", Fault::Reset) }
}

fn broken_once() -> Vec<Case> {
    let cases = cuts().into_iter().enumerate().map(|(number, (methods, path, part, byte))| {
        let (word, fault) = cut(number);
        Case::well(format!("{methods} {path} {word} at byte {byte} of {part:?}"), vec![Rule::on(methods, path, part, byte, fault)])
    });
    let tag = Rule::on("PUT", "/manifests/v1", ResponseHead, 0, Fault::Reset).times(3);
    let more = [
        Case::well("the tag is set and the answer lost three times", vec![tag]),
        Case::well("one upload is reset three times", vec![Rule::on(BYTES, UPLOADS, RequestBody, 65_536, Fault::Reset).times(3)]),
        Case::well(
            "every fourth exchange is reset",
            (0..6).map(|number| Rule::on("HEAD|POST|PUT|PATCH", "/", ResponseHead, 0, Fault::Reset).after(number * 4)).collect(),
        ),
    ];
    cases.chain(more).collect()
}

#[test]
fn a_push_rides_out_a_connection_that_breaks_anywhere() {
    let Some(bench) = Bench::start() else { return };
    judge_all(&bench, Verb::Push, broken_once());
}

fn busy() -> Vec<Case> {
    let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    let status = |methods, path, status, times| vec![Rule::instead(methods, path, Reply::new(status)).times(times)];
    let limited = |path, after: &str| vec![Rule::instead("POST|PUT|HEAD", path, Reply::new(429).with("Retry-After", after))];
    vec![
        Case::well("429 with seconds, for an upload", limited(UPLOADS, "1")),
        Case::well("429 with a date, for an upload", limited(UPLOADS, &soon)),
        Case::well("429 with seconds, for a manifest", limited(MANIFESTS, "0")),
        Case::well("429 with a date that has passed", limited("/blobs/", "Tue, 14 Nov 2023 22:13:50 GMT")),
        Case::well("429 with a Retry-After that is none", limited(UPLOADS, "soon")),
        Case::well("a burst of 500 for POST", status("POST", UPLOADS, 500, 4)),
        Case::well("a burst of 502 for the bytes", status(BYTES, UPLOADS, 502, 3)),
        Case::well("a burst of 503 for HEAD", status("HEAD", "/blobs/", 503, 4)),
        Case::well("a burst of 504 for a manifest", status("PUT", MANIFESTS, 504, 4)),
        Case::well(
            "503 with a page for people",
            vec![Rule::instead("GET|HEAD", "/v2/", Reply { body: b"<html>busy</html>".to_vec(), ..Reply::new(503) })],
        ),
        Case::well("500 after the blob is there", vec![Rule::on(BYTES, UPLOADS, ResponseHead, 0, Fault::Answer(Reply::new(500)))]),
        Case::well("502 after the tag is there", vec![Rule::on("PUT", "/manifests/v1", ResponseHead, 0, Fault::Answer(Reply::new(502)))]),
        Case::well("503 in the middle of the bytes", vec![Rule::on(BYTES, UPLOADS, RequestBody, 100_000, Fault::Answer(Reply::new(503)))]),
    ]
}

/// A registry that wants a token, from the first `HEAD` on, and does not know it any more at the first request of these methods below
/// this path.
fn token_expires(methods: &'static str, path: &'static str) -> Vec<Rule> {
    let realm = r#"Bearer realm="http://{host}/token",service="test",scope="repository:x:pull,push""#;
    let challenge = || Reply::new(401).with("WWW-Authenticate", realm);
    let token = |name: &str| Reply { body: format!(r#"{{"token":"{name}","expires_in":300}}"#).into_bytes(), ..Reply::new(200) };
    vec![
        Rule::instead("GET", "/token", token("first")),
        Rule::instead("GET", "/token", token("second")).after(1).always(),
        Rule::instead("HEAD", "/blobs/", challenge()),
        Rule::instead(methods, path, challenge()),
    ]
}

fn lies() -> Vec<Case> {
    let location = |change| vec![Rule::header("POST", UPLOADS, "Location", change).always()];
    let zeros = |_: &str| format!("sha256:{}", "0".repeat(64));
    let huge = |_: &str| "x".repeat(1 << 20);
    vec![
        Case::well("the token expires when the bytes are sent", token_expires(BYTES, UPLOADS)),
        Case::well("the token expires when a manifest is sent", token_expires("PUT", MANIFESTS)),
        Case::well("a relative address for the upload", location(|was| format!("/{}", was.splitn(4, '/').nth(3).unwrap_or_default()))),
        Case::well("a huge header once", vec![Rule::header("POST", UPLOADS, "X-Huge", huge)]),
        Case::well(
            "a truncated error page",
            vec![
                Rule::instead("POST", UPLOADS, Reply { body: b"<html".to_vec(), ..Reply::new(502) }),
                Rule::on("HEAD", "/blobs/", ResponseBody, 0, Fault::Finish),
            ],
        ),
        Case::badly("another digest for a blob", 3, vec![Rule::header(BYTES, UPLOADS, "Docker-Content-Digest", zeros).always()]),
        Case::badly("another digest for a manifest", 3, vec![Rule::header("PUT", MANIFESTS, "Docker-Content-Digest", zeros).always()]),
        Case::badly("no address for the upload", 1, location(|_| String::new())),
        Case::badly("garbage for an address", 1, location(|_| "http://[::zz]/".to_owned())),
        Case::badly("a file for an address", 1, location(|_| "file:///etc/passwd".to_owned())),
        Case::badly("an address with credentials", 1, location(|_| "http://user:secret@127.0.0.1:1/".to_owned())),
        Case::badly("an address where nobody is", 1, location(|_| "http://127.0.0.1:1/v2/x".to_owned())),
        Case::badly("a huge header always", 1, vec![Rule::header("POST", UPLOADS, "X-Huge", huge).always()]).with(&["--retry-times", "1"]),
        Case::badly("bytes that change on the way", 1, vec![Rule::on(BYTES, UPLOADS, RequestBody, 70_000, Fault::Flip).always()]),
    ]
}

fn refusals() -> Vec<Case> {
    let always = |methods, path, reply: Reply| vec![Rule::instead(methods, path, reply).always()];
    let refused = |code: &str| {
        Reply::new(match code {
            "DENIED" => 403,
            "UNSUPPORTED" => 405,
            _ => 400,
        })
        .saying(code, "no")
    };
    let reset = |methods, path, part, byte| vec![Rule::on(methods, path, part, byte, Fault::Reset).always()];
    vec![
        Case::badly("403 for an upload", 1, always("POST", UPLOADS, refused("DENIED"))),
        Case::badly("405 for an upload", 1, always("POST", UPLOADS, refused("UNSUPPORTED"))),
        Case::badly("403 for a manifest", 1, always("PUT", MANIFESTS, refused("DENIED"))),
        Case::badly("400 for the tag", 1, always("PUT", "/manifests/v1", refused("MANIFEST_INVALID"))),
        Case::badly("401 without an end", 1, always("HEAD", "/blobs/", Reply::new(401).with("WWW-Authenticate", "Basic realm=test"))),
        Case::badly(
            "413 in the middle of the bytes",
            1,
            vec![Rule::on(BYTES, UPLOADS, RequestBody, 100_000, Fault::Answer(Reply::new(413))).always()],
        ),
        Case::badly(
            "429 without an end",
            1,
            always("POST", UPLOADS, Reply::new(429).with("Retry-After", "0").saying("TOOMANYREQUESTS", "slow down")),
        ),
        Case::badly("503 without an end", 1, always("POST", UPLOADS, Reply::new(503))),
        Case::badly(
            "500 for the tag without an end",
            1,
            always("PUT", "/manifests/v1", Reply::new(500).saying("UNKNOWN", "unknown error")),
        ),
        Case::badly("507: the disk is full", 1, always(BYTES, UPLOADS, Reply::new(507).saying("UNKNOWN", "no space left on device"))),
        Case::badly("resets without an end", 1, reset("POST", UPLOADS, ResponseHead, 0)),
        Case::badly("resets of the tag without an end", 1, reset("PUT", "/manifests/v1", RequestBody, 10)),
    ]
}

fn slow() -> Vec<Case> {
    let stall = |methods, path, part, byte| vec![Rule::on(methods, path, part, byte, Fault::Stall)];
    let drip = |milliseconds| Fault::Drip(Duration::from_millis(milliseconds));
    vec![
        Case::well("HEAD stalls", stall("HEAD", "/blobs/", RequestHead, 0)),
        Case::well("POST stalls in its answer", stall("POST", UPLOADS, ResponseHead, 50)),
        Case::well("a manifest stalls after it is there", stall("PUT", MANIFESTS, ResponseHead, 0)),
        Case::well("an answer in drops that come fast", vec![Rule::on("POST", UPLOADS, ResponseHead, 0, drip(1))]),
        Case::well("an answer in drops that take for ever", vec![Rule::on("POST", UPLOADS, ResponseHead, 0, drip(300))]),
        Case::badly("every HEAD stalls", 1, vec![Rule::on("HEAD", "/blobs/", RequestHead, 0, Fault::Stall).always()])
            .with(&["--retry-times", "1"]),
    ]
    .into_iter()
    .map(|case| {
        if case.flags.is_empty() {
            case.with(&["--idle-timeout", "1s"])
        } else {
            case.with(&["--idle-timeout", "1s", "--retry-times", "1"])
        }
    })
    .collect()
}

#[test]
fn a_push_waits_for_a_registry_that_is_busy() {
    let Some(bench) = Bench::start() else { return };
    judge_all(&bench, Verb::Push, busy());
}

#[test]
fn a_push_believes_no_lies() {
    let Some(bench) = Bench::start() else { return };
    let told = judge_all(&bench, Verb::Push, lies());
    insta_filters(&bench).bind(|| insta::assert_snapshot!(told));
}

#[test]
fn a_push_that_is_refused_says_why() {
    let Some(bench) = Bench::start() else { return };
    let told = judge_all(&bench, Verb::Push, refusals());
    insta_filters(&bench).bind(|| insta::assert_snapshot!(told));
}

#[test]
fn a_push_gives_up_what_stands_still() {
    let Some(bench) = Bench::start() else { return };
    let told = judge_all(&bench, Verb::Push, slow());
    insta_filters(&bench).bind(|| insta::assert_snapshot!(told));
}

/// The way into the registry is the same, so a third of the places will do.
#[test]
fn a_copy_into_a_registry_rides_out_the_same() {
    let Some(bench) = Bench::start() else { return };
    let cases = broken_once().into_iter().skip(1).step_by(3).chain(busy().into_iter().skip(5).step_by(2));
    judge_all(&bench, Verb::CopyTo, cases.collect());
}

#[test]
fn a_push_to_distribution_3_rides_out_the_same() {
    let Some(registry) = Registry::start_with(&Setup { kind: Kind::Distribution3, ..Setup::default() }) else { return };
    let bench = Bench::with(registry);
    judge_all(&bench, Verb::Push, broken_once().into_iter().chain(busy().into_iter().skip(5)).collect());
}
