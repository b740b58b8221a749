//! What `doctor` makes of a registry.

use super::*;
use crate::store::registry::doctor::{Finding, Question, State, examine};

fn findings(server: &Server, question: Question) -> Vec<Finding> {
    let options = StoreOptions { retries: Some(0), ..StoreOptions::default() };
    examine(&format!("{}/org/model", server.host).parse().unwrap(), question, &options).unwrap()
}

fn states(findings: &[Finding]) -> Vec<(&str, State)> {
    findings.iter().map(|finding| (finding.check, finding.state)).collect()
}

fn of<'a>(findings: &'a [Finding], check: &str) -> &'a str {
    &findings.iter().find(|finding| finding.check == check).unwrap().found
}

#[test]
fn a_healthy_registry_is_looked_at_without_leaving_a_trace() {
    let date = || httpdate::fmt_http_date(std::time::SystemTime::now());
    let server = Server::start(move |seen, _| match (seen.method.as_str(), seen.target.as_str()) {
        ("GET", "/v2/") => Reply::new(200).with("date", date()).with("server", "nginx"),
        ("GET", target) if target.contains("tags") => Reply::new(200).body(r#"{"name":"org/model","tags":["v1"]}"#),
        ("GET", _) => Reply::new(200).body(r#"{"schemaVersion":2,"manifests":[]}"#),
        ("POST", _) => willing(seen).with("oci-chunk-min-length", "5242880"),
        _ => willing(seen),
    });
    let found = findings(&server, Question::Pull);
    let healthy =
        [("connection", State::Good), ("log-in", State::Note), ("clock", State::Good), ("pull", State::Good), ("referrers", State::Good)];
    assert_eq!(states(&found), healthy);
    assert!(of(&found, "connection").ends_with("plain HTTP, nginx") && of(&found, "pull") == "allowed; 1 tag");
    assert!(server.log().iter().all(|seen| seen.method == "GET"), "looking changes nothing");

    let found = findings(&server, Question::Push);
    assert_eq!(of(&found, "push"), "allowed; OCI-Chunk-Min-Length: 5242880");
    let begun_and_taken_back: Vec<String> = server.lines().into_iter().filter(|line| !line.starts_with("GET")).collect();
    assert_eq!(begun_and_taken_back, ["POST /v2/org/model/blobs/uploads/", "DELETE /v2/org/model/blobs/uploads/1"]);
}

#[test]
fn what_is_missing_is_told_with_a_remedy() {
    let refusing = Server::start(|_, _| Reply::new(401).with("www-authenticate", "Basic realm=x"));
    let found = findings(&refusing, Question::Push);
    assert_eq!(states(&found), [("log-in", State::Bad)]);
    assert!(found[0].hint.as_ref().unwrap().contains("modelcar login"));

    let elsewhere = Server::start(|_, _| Reply::new(404));
    assert_eq!(states(&findings(&elsewhere, Question::Pull)), [("connection", State::Bad)]);

    let read_only = Server::start(|seen, _| match (seen.method.as_str(), seen.target.as_str()) {
        ("GET", "/v2/") => Reply::new(200).with("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("POST", _) => Reply::new(403).body(r#"{"errors":[{"code":"DENIED","message":"read only"}]}"#),
        _ => willing(seen),
    });
    let found = findings(&read_only, Question::Push);
    let states = states(&found);
    assert!(
        states.contains(&("clock", State::Note)) && states.contains(&("pull", State::Note)) && states.contains(&("referrers", State::Note))
    );
    assert!(states.contains(&("push", State::Bad)) && of(&found, "push").ends_with("read only (DENIED)"), "{found:?}");
    assert!(of(&found, "clock").ends_with("s ahead of the registry's"));
}
