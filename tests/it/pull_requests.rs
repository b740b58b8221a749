//! A change is proposed to a forge: a branch of its own, and one request, updated rather than made again.
//!
//! The forges here are stand-ins: they check paths, headers and bodies against the forges' documentation and keep requests in
//! memory. The Git behind them is real.

use std::sync::{Arc, Mutex};

use modelcar::exit_code;
use modelcar::rollout::{Forge, ForgeError, GitOptions, Landed, Proposal, Publish, PullRequests, Review, RolloutError, Token, Workspace};
use serde_json::{Value, json};

use crate::support::git_server::{Asked, Http, answer, daemon};
use crate::support::gitops::{Origin, message, planned};
use crate::support::need;

const TOKEN: &str = "ghp-C4n4ry-5512";
const TOPIC: &str = "edge-01/iris-1a2b3c4d";
const BODY: &str = "| check | result |\n|---|---|\n| signature | passed |\n";

/// What a stand-in calls things.
struct Dialect {
    forge: Forge,
    list: &'static str,
    update: &'static str,
    head: &'static str,
    base: &'static str,
    description: &'static str,
}

const DIALECTS: [Dialect; 3] = [
    Dialect {
        forge: Forge::GitHub,
        list: "/api/v3/repos/acme/gitops/pulls",
        update: "PATCH",
        head: "head",
        base: "base",
        description: "body",
    },
    Dialect {
        forge: Forge::GitLab,
        list: "/api/v4/projects/acme%2Fgitops/merge_requests",
        update: "PUT",
        head: "source_branch",
        base: "target_branch",
        description: "description",
    },
    Dialect {
        forge: Forge::Gitea,
        list: "/api/v1/repos/acme/gitops/pulls",
        update: "PATCH",
        head: "head",
        base: "base",
        description: "body",
    },
];

/// A forge with the requests that are open.
fn stand_in(dialect: &'static Dialect) -> (Http, Arc<Mutex<Vec<Value>>>) {
    let open: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&open);
    let server = Http::start(move |asked: &Asked| {
        if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return json_answer("401 Unauthorized", &json!({"message": format!("Bad credentials: {:?}", asked.header("authorization"))}));
        }
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let mut open = kept.lock().unwrap();
        match (asked.method.as_str(), path) {
            ("GET", path) if path == dialect.list => json_answer("200 OK", &found(dialect, &open, query)),
            ("POST", path) if path == dialect.list => {
                if body[dialect.head].as_str().is_none() || body[dialect.base] != "main" {
                    return json_answer("422 Unprocessable Entity", &json!({"message": "Validation Failed"}));
                }
                let next = request(dialect, open.len() + 1, &body);
                open.push(next);
                json_answer("201 Created", open.last().unwrap())
            }
            (method, path) if method == dialect.update && path == format!("{}/1", dialect.list) => {
                let was = open[0]["was"].clone();
                open[0] = request(
                    dialect,
                    1,
                    &json!({"title": body["title"], "said": body[dialect.description], "updated": true, dialect.head: was}),
                );
                json_answer("200 OK", &open[0])
            }
            _ => json_answer("404 Not Found", &json!({"message": "Not Found"})),
        }
    });
    (server, open)
}

fn request(dialect: &Dialect, number: usize, body: &Value) -> Value {
    let side = |branch: &Value| json!({"ref": branch, "sha": "0"});
    let url = format!("https://forge.example.com/acme/gitops/{number}");
    json!({
        "number": number, "iid": number, "html_url": url, "web_url": url, "head": side(&body[dialect.head]), "base": side(&json!("main")),
        "was": body[dialect.head], "title": body["title"], "said": body.get(dialect.description).unwrap_or(&body["said"]), "updated": body["updated"],
    })
}

/// GitHub and GitLab find by branch; Gitea cannot, and gives pages.
fn found(dialect: &Dialect, open: &[Value], query: &str) -> Value {
    let asked = |name: &str, value: &str| query.contains(&format!("{name}={value}"));
    let branch = "modelcar%2Fedge-01%2Firis-1a2b3c4d";
    let right = match dialect.forge {
        Forge::GitHub => asked("state", "open") && asked("head", &format!("acme%3A{branch}")) && asked("base", "main"),
        Forge::GitLab => asked("state", "opened") && asked("source_branch", branch) && asked("target_branch", "main"),
        Forge::Gitea => asked("state", "open") && asked("page", "1"),
    };
    if right { json!(open) } else { json!([]) }
}

fn json_answer(status: &str, body: &Value) -> Vec<u8> {
    answer(status, "Content-Type: application/json\r\n", body.to_string().as_bytes())
}

fn options(origin: &Origin, forge: Forge, port: u16, token: &str) -> GitOptions {
    let url = Some(format!("http://127.0.0.1:{port}").parse().unwrap());
    let mut options = GitOptions { publish: Publish::Propose(PullRequests { forge, url }), ..origin.options() };
    options.credentials.token = Some(Token::new(token, "test").unwrap());
    options
}

fn propose(origin: &Origin, options: &GitOptions, version: &str) -> Result<Landed, RolloutError> {
    let server = daemon(origin.root());
    let url = format!("git://127.0.0.1:{}/acme/gitops.git", server.port);
    let workspace = Workspace::open(&url.parse().unwrap(), options)?;
    workspace.land(&mut |tree| {
        let review = Some(Review { topic: TOPIC.to_owned(), body: BODY.to_owned() });
        let change = planned(tree, "edge-01", "iris", version)?;
        Ok(Some(Proposal { change, message: message("edge-01", "iris", version), review }))
    })
}

#[test]
fn one_request_is_opened_and_then_updated_on_every_forge() {
    if need("git").is_none() {
        return;
    }
    for dialect in &DIALECTS {
        let origin = Origin::new();
        let (server, open) = stand_in(dialect);
        let options = options(&origin, dialect.forge, server.port, TOKEN);
        for (version, updated) in [("v1", Value::Null), ("v1b", json!(true))] {
            let landed = propose(&origin, &options, version).unwrap();
            let Landed::Proposed { commit, branch, url, .. } = landed else { panic!("{landed:?}") };
            assert_eq!((branch.as_str(), url.as_str()), ("modelcar/edge-01/iris-1a2b3c4d", "https://forge.example.com/acme/gitops/1"));
            assert_eq!(origin.says(&["rev-parse", &branch]), commit.to_string());
            let open = open.lock().unwrap();
            assert_eq!(open.len(), 1);
            assert_eq!(open[0]["title"], format!("sites/edge-01: iris {version}"));
            assert_eq!((&open[0]["said"], &open[0]["updated"]), (&json!(BODY), &updated));
        }
        assert_eq!(origin.count(), 1, "the branch itself is as it was");
    }
}

#[test]
fn refusals_are_told_with_what_to_do_and_without_the_token() {
    if need("git").is_none() {
        return;
    }
    let dialect = &DIALECTS[0];
    for (status, hint) in
        [("403 Forbidden", "Pull requests: write"), ("404 Not Found", "--forge-url"), ("422 Unprocessable Entity", "words say why")]
    {
        let origin = Origin::new();
        let server = Http::start(move |asked| {
            json_answer(status, &json!({"message": format!("no, {}", asked.header("authorization").unwrap_or_default())}))
        });
        let error = propose(&origin, &options(&origin, dialect.forge, server.port, TOKEN), "v1").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("the branch `modelcar/edge-01/iris-1a2b3c4d` is pushed") && !shown.contains("C4n4ry"), "{shown}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(error.exit_code(), exit_code::FAILED);
    }
    let origin = Origin::new();
    let (server, _) = stand_in(dialect);
    let error = propose(&origin, &options(&origin, dialect.forge, server.port, "wrong-C4n4ry"), "v1").unwrap_err();
    assert!(error.to_string().contains("401 Bad credentials") && !format!("{error:?}").contains("C4n4ry"), "{error:?}");
}

#[test]
fn without_a_token_nothing_is_pushed() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let mut options = options(&origin, Forge::GitLab, 9, TOKEN);
    options.credentials.token = None;
    let error = propose(&origin, &options, "v1").unwrap_err();
    assert!(matches!(error, RolloutError::Forge(ForgeError::NoToken { .. })), "{error:?}");
    assert_eq!(origin.says(&["branch", "--list"]), "* main");
}
