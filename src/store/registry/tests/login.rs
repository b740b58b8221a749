//! Challenges, tokens and whose they are.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Asks for bearer tokens from itself, and takes those of `good`.
fn token_server(good: impl Fn(&str) -> bool + Send + Sync + 'static, token: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |seen, _| {
        if seen.target.starts_with("/token") {
            return token(issued.fetch_add(1, Ordering::SeqCst));
        }
        let host = seen.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="scripted",scope="repository:org/model:pull,push""#);
        match seen.header("authorization") {
            Some(sent) if good(sent) => willing(seen),
            _ => {
                Reply::new(401).with("www-authenticate", challenge).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#)
            }
        }
    })
}

fn token(value: &str) -> Reply {
    Reply::new(200).body(format!(r#"{{"token":"{value}","expires_in":300}}"#))
}

fn tokens_asked(server: &Server) -> Vec<Seen> {
    server.log().into_iter().filter(|seen| seen.target.starts_with("/token")).collect()
}

#[test]
fn a_challenge_is_answered_with_a_token_for_exactly_this_repository() {
    let server = token_server(|sent| sent == "Bearer good", |_| token("good"));
    let (_dir, options) = authfile(&server.host, PASSWORD);
    let opened = open_with(&server.host, &options);
    assert!(!opened.store.has_blob(&blob(b"x")).unwrap());
    assert!(!opened.store.has_blob(&blob(b"y")).unwrap());
    let asked = tokens_asked(&server);
    assert_eq!(asked.len(), 1, "one token serves all");
    assert_eq!(asked[0].target, "/token?service=scripted&scope=repository%3Aorg%2Fmodel%3Apull%2Cpush");
    assert_eq!(asked[0].header("authorization"), Some("Basic Y2krYm90OkNBTkFSWS1QQVNTV09SRA=="));
    assert!(asked[0].header("user-agent").unwrap().starts_with("modelcar/"));
    assert!(opened.pauses().is_empty());
}

#[test]
fn a_token_refused_in_the_middle_is_replaced_once() {
    let server = token_server(|sent| sent == "Bearer t1", |index| token(&format!("t{index}")));
    let opened = open(&server);
    assert!(!opened.store.has_blob(&blob(b"x")).unwrap());
    let heads: Vec<_> = server
        .log()
        .into_iter()
        .filter(|seen| seen.method == "HEAD")
        .map(|seen| seen.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(heads, ["Bearer t0", "Bearer t1"]);
}

#[test]
fn an_expired_token_is_not_even_tried() {
    let server = token_server(|_| true, |index| Reply::new(200).body(format!(r#"{{"token":"t{index}","expires_in":0}}"#)));
    // `good` takes all that is sent, so only the ping is refused
    let opened = open(&server);
    opened.store.has_blob(&blob(b"x")).unwrap();
    opened.store.has_blob(&blob(b"y")).unwrap();
    let heads: Vec<_> = server
        .log()
        .into_iter()
        .filter(|seen| seen.method == "HEAD")
        .map(|seen| seen.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(heads, ["Bearer t0", "Bearer t1"]);
}

#[test]
fn threads_share_one_token() {
    let server = token_server(|sent| sent == "Bearer good", |_| token("good"));
    let opened = open(&server);
    std::thread::scope(|scope| {
        for number in 0..8_u8 {
            let store = &opened.store;
            scope.spawn(move || store.has_blob(&blob(&[number])).unwrap());
        }
    });
    assert_eq!(tokens_asked(&server).len(), 1);
}

#[test]
fn a_registry_without_a_ping_challenge_may_still_ask_later() {
    let server = Server::start(|seen, _| match (seen.target.as_str(), seen.header("authorization")) {
        ("/v2/", _) => Reply::new(200),
        (_, Some(_)) => willing(seen),
        _ => Reply::new(401).with("www-authenticate", "Negotiate").with("www-authenticate", "Basic realm=\"a,b\""),
    });
    let (_dir, options) = authfile(&server.host, PASSWORD);
    assert!(!open_with(&server.host, &options).store.has_blob(&blob(b"x")).unwrap());
}

#[test]
fn an_identity_token_is_traded_for_a_token() {
    let server = token_server(|sent| sent == "Bearer good", |_| Reply::new(200).body(r#"{"access_token":"good"}"#));
    let (_dir, options) = authfile(&server.host, r#"{"auth":"dTpw","identitytoken":"CANARY"}"#);
    assert!(!open_with(&server.host, &options).store.has_blob(&blob(b"x")).unwrap());
    let asked = tokens_asked(&server);
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/token"));
    assert!(String::from_utf8(asked[0].body.clone()).unwrap().contains("refresh_token=CANARY"));
}

#[test]
fn a_refusal_says_whose_log_in_was_refused_and_what_to_do() {
    let server = token_server(|_| false, |_| token("CANARY-TOKEN"));
    let error = open(&server).store.has_blob(&blob(b"x")).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{} refused anonymous access", server.host)), "{error}");
    let (_dir, options) = authfile(&server.host, PASSWORD);
    let error = open_with(&server.host, &options).store.tags().unwrap_err();
    assert!(
        error.to_string().contains("refused user `ci+bot` from ") && error.to_string().ends_with("auth.json: who are you (UNAUTHORIZED)"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains(&format!("modelcar login {}", server.host)));
    assert!(!all_words(&error).contains("CANARY"), "{}", all_words(&error));
}

#[test]
fn basic_without_a_log_in_is_said_before_anything_is_sent() {
    let server = Server::start(|_, _| Reply::new(401).with("www-authenticate", "Basic realm=x"));
    let error = open(&server).store.tags().unwrap_err();
    assert!(error.to_string().ends_with("refused anonymous access: it asks for a user and a password"), "{error}");
    assert!(server.lines().is_empty());
}

#[test]
fn a_token_service_with_troubles_is_asked_again_and_its_refusal_is_final() {
    let server = token_server(|sent| sent == "Bearer good", |index| if index < 2 { Reply::new(503) } else { token("good") });
    let opened = open(&server);
    assert!(!opened.store.has_blob(&blob(b"x")).unwrap());
    assert_eq!(opened.pauses().len(), 2);

    let refusal = || Reply::new(401).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"bad password CANARY-PASSWORD"}]}"#);
    let server = token_server(|_| true, move |_| refusal());
    let (_dir, options) = authfile(&server.host, PASSWORD);
    let opened = open_with(&server.host, &options);
    let error = opened.store.tags().unwrap_err();
    assert!(error.to_string().ends_with("bad password *** (UNAUTHORIZED)") && error.to_string().contains("`ci+bot`"), "{error}");
    assert!(!all_words(&error).contains("CANARY") && opened.pauses().is_empty(), "{}", all_words(&error));
}

#[test]
fn an_unusable_token_is_never_quoted() {
    for body in ["{\"token\":\"CANARY \\n\"}", "CANARY", "{\"token\":[\"CANARY\"]}", "{}"] {
        let server = token_server(|_| true, move |_| Reply::new(200).body(body));
        let error = open(&server).store.tags().unwrap_err();
        assert!(error.to_string().starts_with(&format!("the token service http://{}/token gave no usable token", server.host)), "{error}");
        assert!(!all_words(&error).contains("CANARY"), "{}", all_words(&error));
    }
}

#[test]
fn a_registry_that_repeats_secrets_is_not_quoted_with_them() {
    let server = token_server(|_| false, |_| token("CANARY-TOKEN"));
    let host = server.host.clone();
    let echo = Server::start(move |seen, _| match seen.header("authorization") {
        Some(sent) => Reply::new(403).body(format!(r#"{{"errors":[{{"code":"DENIED","message":"you sent {sent}"}}]}}"#)),
        None => Reply::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token?x=CANARY""#)),
    });
    let error = open(&echo).store.tags().unwrap_err();
    assert!(matches!(&error, StoreError::Registry(inner) if matches!(**inner, RegistryError::Denied { .. })), "{error}");
    assert!(error.to_string().contains("you sent Bearer ***") && !all_words(&error).contains("CANARY"), "{}", all_words(&error));
    assert!(error.hint().unwrap().contains("robot account"));
}

#[test]
fn a_registry_that_repeats_a_basic_header_is_not_quoted_with_it() {
    let echo = Server::start(|seen, _| match seen.header("authorization") {
        Some(sent) => Reply::new(403).body(format!(r#"{{"errors":[{{"code":"DENIED","message":"you sent {sent}"}}]}}"#)),
        None => Reply::new(401).with("www-authenticate", r#"Basic realm="x""#),
    });
    let (_dir, options) = authfile(&echo.host, PASSWORD);
    let error = open_with(&echo.host, &options).store.tags().unwrap_err();
    assert!(error.to_string().contains("you sent Basic ***"), "{}", all_words(&error));
}

#[test]
fn unknown_ways_to_log_in_are_named() {
    for (header, reason) in [
        ("Negotiate, NTLM", "negotiate, ntlm"),
        ("", "it names none"),
        ("Bearer service=x", "a bearer token without a `realm` to get it from"),
    ] {
        let server = Server::start(move |_, _| Reply::new(401).with("www-authenticate", header));
        let error = open(&server).store.tags().unwrap_err();
        assert!(error.to_string().ends_with(reason), "{error}");
    }
}

#[test]
fn a_missing_authfile_is_an_error_at_once() {
    let options = StoreOptions { authfile: Some("/no/such/auth.json".into()), ..StoreOptions::default() };
    let error = RegistryStore::new(&"quay.io/a/b".parse().unwrap(), Access::Read, &options).err().unwrap();
    assert_eq!(error.to_string(), "cannot use the credentials in /no/such/auth.json: there is no such file");
}

#[test]
fn a_refusal_by_the_token_service_names_the_registry_to_log_in_to() {
    let tokens = Server::start(|_, _| Reply::new(401));
    let realm = format!(r#"Bearer realm="http://{}/token""#, tokens.host);
    let server = Server::start(move |_, _| Reply::new(401).with("www-authenticate", realm.clone()));
    let error = open(&server).store.tags().unwrap_err();
    assert!(error.hint().unwrap().contains(&format!("modelcar login {}`", server.host)), "{error} {:?}", error.hint());
}

#[test]
fn a_token_service_without_oauth2_is_asked_in_the_older_way() {
    for status in [401, 404, 405] {
        let server = token_server(|sent| sent == "Bearer good", move |index| if index == 0 { Reply::new(status) } else { token("good") });
        let (_dir, options) = authfile(&server.host, r#"{"auth":"dTpw","identitytoken":"CANARY"}"#);
        assert!(!open_with(&server.host, &options).store.has_blob(&blob(b"x")).unwrap(), "{status}");
        let asked = tokens_asked(&server);
        assert_eq!((asked[0].method.as_str(), asked[1].method.as_str()), ("POST", "GET"), "{status}");
        assert_eq!(asked[1].header("authorization"), Some("Basic dTpw"), "the password that stands beside the identity token");
    }
    let server = token_server(|_| false, |_| Reply::new(400).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"CANARY is stale"}]}"#));
    let (_dir, options) = authfile(&server.host, r#"{"identitytoken":"CANARY"}"#);
    let error = open_with(&server.host, &options).store.tags().unwrap_err();
    assert!(error.to_string().contains("refused the identity token from"), "{error}");
    assert!(!all_words(&error).contains("CANARY") && tokens_asked(&server).len() == 1, "{}", all_words(&error));
}

#[test]
fn bearer_goes_before_basic_in_one_header_and_in_several() {
    let bearer = |host: &str| format!(r#"Bearer realm="http://{host}/token",service="a,b""#);
    let replies: [fn(&str, &str) -> Reply; 3] = [
        |basic, bearer| Reply::new(401).with("www-authenticate", format!("{basic}, {bearer}")),
        |basic, bearer| Reply::new(401).with("www-authenticate", basic).with("www-authenticate", bearer),
        |basic, bearer| Reply::new(401).with("www-authenticate", format!("Negotiate, {bearer}")).with("www-authenticate", basic),
    ];
    for reply in replies {
        let server = Server::start(move |seen, _| match (seen.target.starts_with("/token"), seen.header("authorization")) {
            (true, Some("Basic Y2krYm90OkNBTkFSWS1QQVNTV09SRA==")) => token("good"),
            (false, Some("Bearer good")) => willing(seen),
            _ => reply(r#"Basic realm="x, y""#, &bearer(seen.header("host").unwrap())),
        });
        let (_dir, options) = authfile(&server.host, PASSWORD);
        assert!(!open_with(&server.host, &options).store.has_blob(&blob(b"x")).unwrap());
        assert!(tokens_asked(&server)[0].target.starts_with("/token?service=a%2Cb&scope="));
    }
}

#[test]
fn a_refusal_that_names_no_way_in_is_answered_as_before() {
    let server = token_server(|sent| sent == "Bearer t1", |index| token(&format!("t{index}")));
    let host = server.host.clone();
    let gateway = Server::start(move |seen, _| match (seen.target.as_str(), seen.header("authorization")) {
        ("/v2/", None) => Reply::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token""#)),
        (_, Some("Bearer t1")) => willing(seen),
        _ => Reply::new(401),
    });
    let opened = open(&gateway);
    assert!(!opened.store.has_blob(&blob(b"x")).unwrap());
    assert_eq!((gateway.lines().len(), tokens_asked(&server).len()), (2, 2));
}

#[test]
fn a_token_answer_is_read_to_a_limit() {
    let server = token_server(|_| true, |_| Reply::new(200).body(format!(r#"{{"token":"{}"}}"#, "x".repeat(2 << 20))));
    let error = open(&server).store.tags().unwrap_err();
    assert!(error.to_string().ends_with("it is longer than 1048576 bytes"), "{error}");
}

#[test]
fn a_token_goes_to_its_registry_and_to_no_upload_address_elsewhere() {
    let other = Server::start(|_, _| Reply::new(201));
    let place = format!("http://{}/upload", other.host);
    let server = token_server(|sent| sent == "Bearer good", |_| token("good"));
    let host = server.host.clone();
    let registry = Server::start(move |seen, _| match (seen.method.as_str(), seen.header("authorization")) {
        (_, None) => Reply::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token""#)),
        ("POST", Some(_)) => Reply::new(202).with("location", place.clone()),
        _ => willing(seen),
    });
    let content = b"bytes".to_vec();
    open(&registry).store.put_blob(&blob(&content), &content).unwrap();
    assert!(!other.log().is_empty() && other.log().iter().all(|seen| seen.header("authorization").is_none()));
}
