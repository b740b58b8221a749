//! Whether a registry takes a log-in that is in no file yet.

use zeroize::Zeroizing;

use super::*;
use crate::store::registry::login::{User, Welcome, check_patiently};

fn outcome(server: &Server, secret: &str) -> Result<Welcome, String> {
    let patience = Patience { idle: IDLE, retry: Retry::new(|_| {}) };
    let user = User::new("ci+robot", &Zeroizing::new(secret.to_owned())).unwrap();
    check_patiently(&server.host.parse().unwrap(), &user, &StoreOptions::default(), patience).map_err(|error| format!("{error} {error:?}"))
}

#[test]
fn a_registry_is_asked_by_basic_authentication_or_for_a_token_without_scopes() {
    let basic = Server::start(|seen, _| match seen.header("authorization") {
        Some("Basic Y2krcm9ib3Q6Q0FOQVJZ") => Reply::new(200),
        _ => Reply::new(401).with("www-authenticate", "Basic realm=x"),
    });
    assert_eq!(outcome(&basic, "CANARY"), Ok(Welcome::Accepted));
    let error = outcome(&basic, "CANARY2").unwrap_err();
    assert!(error.contains("refused user `ci+robot` from this log-in") && !error.contains("CANARY"), "{error}");
    assert_eq!(basic.lines().len(), 0, "nothing but /v2/ is asked for");

    let bearer = Server::start(|seen, _| {
        let host = seen.header("host").unwrap();
        match (seen.target.split('?').next().unwrap(), seen.header("authorization")) {
            ("/token", Some("Basic Y2krcm9ib3Q6Q0FOQVJZ")) => Reply::new(200).body(r#"{"token":"t"}"#),
            ("/token", _) => Reply::new(401),
            (_, Some("Bearer t")) => Reply::new(200),
            _ => Reply::new(401).with("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="s""#)),
        }
    });
    assert_eq!(outcome(&bearer, "CANARY"), Ok(Welcome::Accepted));
    assert!(outcome(&bearer, "wrong").unwrap_err().contains("refused user `ci+robot`"));
    assert!(bearer.log().iter().all(|seen| !seen.target.contains("scope=")));
}

#[test]
fn a_registry_that_asks_nobody_has_said_nothing() {
    let open = Server::start(|_, _| Reply::new(200));
    assert_eq!(outcome(&open, "pw"), Ok(Welcome::Open));
    let none = Server::start(|_, _| Reply::new(404));
    assert!(outcome(&none, "pw").unwrap_err().contains("status 404"));
}
