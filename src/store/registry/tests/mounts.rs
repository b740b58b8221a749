//! Blobs of a neighbour.

use super::*;

fn neighbour(host: &str, repository: &str) -> Reference {
    format!("{host}/{repository}").parse().unwrap()
}

#[test]
fn a_neighbours_blob_is_taken_over_without_a_byte() {
    let server = Server::start(|seen, _| if seen.method == "POST" { Reply::new(201) } else { willing(seen) });
    let mounted = open(&server).store.mount_blob(&blob(b"x"), &neighbour(&server.host, "org/other:v1"));
    assert!(mounted.unwrap());
    let posts: Vec<String> = server.log().iter().filter(|seen| seen.method == "POST").map(Seen::line).collect();
    // distribution specification, "Mounting a blob from another repository"; Quay wants both parameters
    assert_eq!(posts, [format!("POST /v2/org/model/blobs/uploads/?mount={}&from=org/other", Digest::of(b"x"))]);
}

#[test]
fn a_session_opened_instead_is_given_back() {
    let server = Server::start(|seen, _| willing(seen));
    assert!(!open(&server).store.mount_blob(&blob(b"x"), &neighbour(&server.host, "org/other")).unwrap());
    assert_eq!(server.lines(), ["POST /v2/org/model/blobs/uploads/", "DELETE /v2/org/model/blobs/uploads/1"]);
}

#[test]
fn a_refused_mount_is_no_error() {
    for status in [400, 401, 403, 404, 405, 500] {
        let server = Server::start(move |seen, _| if seen.method == "POST" { Reply::new(status) } else { willing(seen) });
        let opened = open(&server);
        assert!(!opened.store.mount_blob(&blob(b"x"), &neighbour(&server.host, "org/other")).unwrap(), "{status}");
        assert!(opened.pauses().is_empty(), "{status}: sending it is sooner than waiting");
    }
}

#[test]
fn another_registry_and_the_repository_itself_are_not_asked() {
    let server = Server::start(|seen, _| willing(seen));
    let store = open(&server).store;
    for (host, repository) in [("quay.io", "org/other"), (server.host.as_str(), "org/model")] {
        assert!(!store.mount_blob(&blob(b"x"), &neighbour(host, repository)).unwrap());
    }
    assert!(server.log().is_empty());
}

#[test]
fn a_mount_asks_for_the_right_to_read_its_source_and_other_requests_do_not() {
    let server = Server::start(|seen, _| {
        let host = seen.header("host").unwrap();
        match (seen.target.starts_with("/token"), seen.header("authorization")) {
            (true, _) => Reply::new(200).body(r#"{"token":"t"}"#),
            (_, None) => Reply::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token""#)),
            _ if seen.method == "POST" => Reply::new(201),
            _ => willing(seen),
        }
    });
    let store = open(&server).store;
    assert!(store.mount_blob(&blob(b"x"), &neighbour(&server.host, "org/other")).unwrap());
    store.has_blob(&blob(b"x")).unwrap();
    let tokens: Vec<String> = server.log().into_iter().filter(|seen| seen.target.starts_with("/token")).map(|seen| seen.target).collect();
    let own = "scope=repository%3Aorg%2Fmodel%3Apull%2Cpush";
    assert!(tokens[0].contains(own) && tokens[0].ends_with("&scope=repository%3Aorg%2Fother%3Apull"), "{tokens:?}");
    assert!(tokens.len() == 2 && tokens[1].ends_with(own), "{tokens:?}");
}
