//! A project on a forge, and what is asked there.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{Forge, ForgeError, PullRequests, gitea, github, gitlab};
use crate::rollout::git::{Address, Token};
use crate::store::StoreOptions;
use crate::store::registry::{Answer, Ask, Bearer, Web, carries_secrets, shown_url};

/// A list of pull requests, each with its description.
const MAX_ANSWER: u64 = 8 << 20;
/// No honest address is longer, in characters.
const MAX_ADDRESS: usize = 2048;
const IDLE: Duration = Duration::from_secs(30);
const JSON: &str = "application/json";

/// What a pull request says.
#[derive(Clone, Copy, Debug)]
pub(in crate::rollout) struct Request<'a> {
    /// The branch that holds the commit.
    pub(in crate::rollout) branch: &'a str,
    /// The branch that should take it.
    pub(in crate::rollout) base: &'a str,
    pub(in crate::rollout) title: &'a str,
    pub(in crate::rollout) body: &'a str,
}

/// A project of a forge.
pub(in crate::rollout) struct Place {
    forge: Forge,
    /// Where its API begins, without a slash at the end.
    pub(super) api: Url,
    /// `OWNER/NAME`, or `GROUP/…/NAME`.
    pub(super) project: String,
    web: Web,
    bearer: Bearer,
}

/// One step with a forge: what it is, as errors say it, and for which branch.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) action: &'static str,
    pub(super) branch: &'a str,
}

impl PullRequests {
    /// The project that a repository belongs to.
    ///
    /// # Errors
    /// There is no token, it must not be sent, or the address names no project.
    pub(in crate::rollout) fn place(&self, remote: &Address, token: Option<&Token>, ca_file: Option<&Path>) -> Result<Place, ForgeError> {
        let forge = self.forge;
        let token = token.ok_or(ForgeError::NoToken { forge })?;
        let (site, project) =
            site_and_project(remote, self.url.as_ref()).ok_or_else(|| ForgeError::NoProject { forge, remote: remote.to_string() })?;
        let api = match forge {
            Forge::GitHub => github::api(&site),
            Forge::GitLab => below(&site, "/api/v4"),
            Forge::Gitea => below(&site, "/api/v1"),
        };
        if !carries_secrets(&api) {
            return Err(ForgeError::Plain { url: shown_url(&api) });
        }
        let bearer = Bearer::new(token.expose()).ok_or(ForgeError::NoToken { forge })?;
        let set_up = Step { action: "connect", branch: "" };
        let web = Web::new(&StoreOptions { ca_file: ca_file.map(Path::to_owned), ..StoreOptions::default() }, IDLE)
            .map_err(|source| ForgeError::web(forge, set_up, source))?;
        Ok(Place { forge, api, project, web, bearer })
    }
}

impl Place {
    /// Opens the pull request, or updates the one that is open; its address for people.
    ///
    /// # Errors
    /// What the forge refuses. The branch is pushed already.
    pub(in crate::rollout) fn request(&self, request: &Request<'_>) -> Result<String, ForgeError> {
        let url = match self.forge {
            Forge::GitHub => github::request(self, request),
            Forge::GitLab => gitlab::request(self, request),
            Forge::Gitea => gitea::request(self, request),
        }?;
        let (forge, branch) = (self.forge, request.branch.to_owned());
        web_address(&url).ok_or(ForgeError::Answer { forge, action: "learn the address of what was opened", branch })
    }

    /// The address of something of the API.
    pub(super) fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = below(&self.api, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(super) fn get<T: DeserializeOwned>(&self, step: Step<'_>, url: &Url) -> Result<T, ForgeError> {
        self.send(step, Ask::get(url, JSON, MAX_ANSWER))
    }

    pub(super) fn post<T: DeserializeOwned>(&self, step: Step<'_>, url: &Url, body: &Value) -> Result<T, ForgeError> {
        self.send(step, Ask::post(url, JSON, body.to_string(), JSON, MAX_ANSWER))
    }

    pub(super) fn patch<T: DeserializeOwned>(&self, step: Step<'_>, url: &Url, body: &Value) -> Result<T, ForgeError> {
        self.send(step, Ask::patch(url, JSON, body.to_string(), JSON, MAX_ANSWER))
    }

    pub(super) fn put<T: DeserializeOwned>(&self, step: Step<'_>, url: &Url, body: &Value) -> Result<T, ForgeError> {
        self.send(step, Ask::put(url, JSON, body.to_string(), JSON, MAX_ANSWER))
    }

    fn send<T: DeserializeOwned>(&self, step: Step<'_>, ask: Ask<'_>) -> Result<T, ForgeError> {
        let answer = self.web.send(&ask.bearing(Some(&self.bearer))).map_err(|source| ForgeError::web(self.forge, step, source))?;
        if !answer.is_success() {
            return Err(self.refused(step, &answer));
        }
        let (forge, branch) = (self.forge, step.branch.to_owned());
        serde_json::from_slice(&answer.body).map_err(|_| ForgeError::Answer { forge, action: step.action, branch })
    }

    fn refused(&self, step: Step<'_>, answer: &Answer) -> ForgeError {
        let (forge, branch) = (self.forge, step.branch.to_owned());
        ForgeError::Refused { forge, action: step.action, branch, status: answer.status, words: answer.words() }
    }
}

impl ForgeError {
    fn web(forge: Forge, step: Step<'_>, source: crate::store::StoreError) -> Self {
        Self::Web { forge, action: step.action, branch: step.branch.to_owned(), source: Box::new(source) }
    }
}

/// The forge's web address and the project on it. A forge may live below a path of its host.
fn site_and_project(remote: &Address, named: Option<&Url>) -> Option<(Url, String)> {
    let url = remote.url()?;
    let site = match named {
        Some(site) => site.clone(),
        None if matches!(url.scheme(), "https" | "http") => url.join("/").ok()?,
        None => Url::parse(&format!("https://{}/", url.host_str()?)).ok()?,
    };
    let path = url.path().trim_matches('/');
    let prefix = site.path().trim_matches('/');
    let path = path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')).unwrap_or(path).trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let is_project = path.split('/').count() >= 2 && path.split('/').all(|part| !part.is_empty() && part != "..");
    is_project.then(|| (site, path.to_owned()))
}

/// An address that a forge tells, without what a terminal or a script that reads lines would obey.
fn web_address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    Some(shown_url(&url).chars().take(MAX_ADDRESS).collect())
}

/// `url` with a path behind whatever path it has.
pub(super) fn below(url: &Url, path: &str) -> Url {
    let mut below = url.clone();
    below.set_query(None);
    below.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    below
}

/// A name as one part of a path: slashes too are written as `%2F`.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_api_and_the_project_of_a_repository() {
        use Forge::{GitHub, GitLab, Gitea};
        let token = Token::new("s3cret", "test").unwrap();
        for (forge, remote, url, api, project) in [
            (GitHub, "https://github.com/o/r.git", None, "https://api.github.com/", "o/r"),
            (GitHub, "git@github.com:o/r", None, "https://api.github.com/", "o/r"),
            (GitHub, "https://ghe.example.com/o/r", None, "https://ghe.example.com/api/v3", "o/r"),
            (GitHub, "ssh://git@ssh.example.com/o/r", Some("https://ghe.example.com"), "https://ghe.example.com/api/v3", "o/r"),
            (GitLab, "https://gitlab.com/a/b/c.git", None, "https://gitlab.com/api/v4", "a/b/c"),
            (GitLab, "https://h/gitlab/a/b.git", Some("https://h/gitlab"), "https://h/gitlab/api/v4", "a/b"),
            (Gitea, "http://127.0.0.1:3000/o/r.git", None, "http://127.0.0.1:3000/api/v1", "o/r"),
            (Gitea, "ssh://git@h:2222/o/r.git", None, "https://h/api/v1", "o/r"),
        ] {
            let requests = PullRequests { forge, url: url.map(|url| url.parse().unwrap()) };
            let place = requests.place(&Address::given(remote).unwrap(), Some(&token), None).ok().unwrap();
            assert_eq!((place.api.as_str(), place.project.as_str()), (api, project), "{remote}");
        }
    }

    #[test]
    fn refuses_what_names_no_project_and_a_token_for_all_to_read() {
        let token = Token::new("s3cret", "test").unwrap();
        let requests = PullRequests { forge: Forge::Gitea, url: None };
        let refused = |remote: &str, token| requests.place(&Address::given(remote).unwrap(), token, None).err().unwrap();
        assert!(matches!(refused("https://h/r.git", Some(&token)), ForgeError::NoProject { .. }));
        assert!(matches!(refused("file:///srv/r.git", Some(&token)), ForgeError::NoProject { .. }));
        assert!(matches!(refused("http://h/o/r.git", Some(&token)), ForgeError::Plain { .. }));
        assert!(matches!(refused("https://h/o/r.git", None), ForgeError::NoToken { .. }));
    }

    #[test]
    fn an_address_that_a_forge_tells_is_one_line_and_draws_nothing() {
        assert_eq!(web_address("https://h/o/r/pulls/7").as_deref(), Some("https://h/o/r/pulls/7"));
        let shown = web_address("https://h/o\ncommit 0000\u{1b}[2J\u{202e}").unwrap();
        assert!(shown.chars().all(|c| c.is_ascii_graphic()), "{shown}");
        for text in ["", "/o/r/pulls/7", "javascript:alert(1)", "file:///etc/passwd"] {
            assert_eq!(web_address(text), None, "{text}");
        }
    }

    #[test]
    fn a_project_is_one_part_of_a_path() {
        assert_eq!(encoded("a/b c/d-e_f.g~h"), "a%2Fb%20c%2Fd-e_f.g~h");
    }
}
