//! Whatever happens to a pull, an extract or a copy out of a registry: all bytes are right, or one error says why not, and nothing half
//! is left where others would take it for whole.

use std::time::Duration;

use crate::support::fault_proxy::{Fault, Part, Reply, Rule};
use crate::support::faults::{Bench, Case, LARGE, Verb, insta_filters};

use Part::{RequestHead, ResponseBody, ResponseHead};

const BLOBS: &str = "/blobs/sha256";
const MANIFESTS: &str = "/manifests/";

fn judge_all(bench: &Bench, verb: Verb, cases: Vec<Case>) -> String {
    let first = verb as usize * 1000;
    cases.into_iter().enumerate().map(|(number, case)| bench.judge(verb, first + number, case)).collect()
}

fn cases() -> Vec<Case> {
    let on = |path, part, byte, fault| vec![Rule::on("GET", path, part, byte, fault)];
    let zeros = |_: &str| format!("sha256:{}", "0".repeat(64));
    let huge = |_: &str| "x".repeat(1 << 20);
    let large = LARGE as u64;
    vec![
        Case::well("a blob reset before its first byte", on(BLOBS, ResponseHead, 0, Fault::Reset)),
        Case::well("a blob reset in its head", on(BLOBS, ResponseHead, 40, Fault::Reset)),
        Case::well("a blob reset after one byte", on(BLOBS, ResponseBody, 1, Fault::Reset)),
        Case::well("a blob reset in the middle", on(BLOBS, ResponseBody, large / 2, Fault::Reset)),
        Case::well("a blob closed in the middle", on(BLOBS, ResponseBody, large / 2 + 1, Fault::Finish)),
        Case::well("a blob reset near its end", on(BLOBS, ResponseBody, large, Fault::Reset)),
        Case::well("a manifest reset in its head", on(MANIFESTS, ResponseHead, 30, Fault::Reset)),
        Case::well("a burst of 503 for a blob", vec![Rule::instead("GET", BLOBS, Reply::new(503)).times(4)]),
        Case::well("429 for a manifest", vec![Rule::instead("GET", MANIFESTS, Reply::new(429).with("Retry-After", "0"))]),
        Case::well(
            "416 on resume",
            vec![
                Rule::on("GET", BLOBS, ResponseBody, large / 2, Fault::Reset),
                Rule::instead("GET", BLOBS, Reply::new(416)).having("range"),
            ],
        ),
        Case::well("a huge header once", vec![Rule::header("GET", BLOBS, "X-Huge", huge)]),
        Case::well("a blob that stalls", on(BLOBS, ResponseBody, 70_000, Fault::Stall)).with(&["--idle-timeout", "1s"]),
        Case::well("a head in drops that take for ever", on(BLOBS, ResponseHead, 0, Fault::Drip(Duration::from_millis(300))))
            .with(&["--idle-timeout", "1s"]),
        Case::badly("resets without an end", 1, vec![Rule::on("GET", BLOBS, ResponseHead, 0, Fault::Reset).always()])
            .with(&["--retry-times", "1"]),
        Case::badly("another digest for a manifest", 3, vec![Rule::header("GET", MANIFESTS, "Docker-Content-Digest", zeros).always()]),
        Case::badly("another manifest", 3, vec![Rule::on("GET", MANIFESTS, ResponseBody, 180, Fault::Flip).always()]),
        Case::badly("a blob with other bytes", 3, vec![Rule::on("GET", BLOBS, ResponseBody, 600, Fault::Flip).always()]),
        Case::badly(
            "a blob that is gone",
            1,
            vec![Rule::instead("GET", BLOBS, Reply::new(404).saying("BLOB_UNKNOWN", "blob unknown to registry")).always()],
        ),
        Case::badly(
            "a blob somewhere else, in a file",
            1,
            vec![Rule::instead("GET", BLOBS, Reply::new(307).with("Location", "file:///etc/passwd")).always()],
        ),
        Case::badly(
            "a blob somewhere else, in a circle",
            1,
            vec![Rule::instead("GET", BLOBS, Reply::new(307).with("Location", "http://{host}/v2/calm/m/blobs/sha256")).always()],
        ),
        Case::badly("403 for a blob", 1, vec![Rule::instead("GET", BLOBS, Reply::new(403).saying("DENIED", "no")).always()]),
        Case::badly(
            "a manifest that says it is longer than it is",
            1,
            vec![Rule::header("GET", MANIFESTS, "Content-Length", |was| format!("{}", was.parse::<u64>().unwrap() + 7)).always()],
        )
        .with(&["--retry-times", "1"]),
        Case::badly("every blob stalls", 1, vec![Rule::on("GET", BLOBS, RequestHead, 0, Fault::Stall).always()]).with(&[
            "--idle-timeout",
            "1s",
            "--retry-times",
            "0",
        ]),
    ]
}

#[test]
fn a_pull() {
    let Some(bench) = Bench::start() else { return };
    let told = judge_all(&bench, Verb::Pull, cases());
    insta_filters(&bench).bind(|| insta::assert_snapshot!(told));
}

#[test]
fn an_extract() {
    let Some(bench) = Bench::start() else { return };
    let told = judge_all(&bench, Verb::Extract, cases());
    insta_filters(&bench).bind(|| insta::assert_snapshot!(told));
}

#[test]
fn a_copy_out_of_a_registry() {
    let Some(bench) = Bench::start() else { return };
    let told = judge_all(&bench, Verb::CopyFrom, cases());
    insta_filters(&bench).bind(|| insta::assert_snapshot!(told));
}
