//! GitHub's pull requests: <https://docs.github.com/en/rest/pulls/pulls>.

use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::ForgeError;
use super::place::{Place, Request, Step, below};

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
}

/// github.com has a host for its API; a server of one's own has it below a path.
pub(super) fn api(site: &Url) -> Url {
    match site.host_str() {
        Some("github.com" | "api.github.com") => Url::parse("https://api.github.com").unwrap_or_else(|_| site.clone()),
        _ if site.path().trim_end_matches('/').ends_with("/api/v3") => site.clone(),
        _ => below(site, "/api/v3"),
    }
}

pub(super) fn request(place: &Place, request: &Request<'_>) -> Result<String, ForgeError> {
    let step = |action| Step { action, branch: request.branch };
    let pulls = format!("/repos/{}/pulls", place.project);
    let owner = place.project.split('/').next().unwrap_or_default();
    let head = format!("{owner}:{}", request.branch);
    let open = place.url(&pulls, &[("state", "open"), ("head", &head), ("base", request.base)]);
    let open: Vec<Pull> = place.get(step("look for an open pull request"), &open)?;
    let pull: Pull = if let Some(pull) = open.first() {
        let body = json!({"title": request.title, "body": request.body});
        place.patch(step("update the pull request"), &place.url(&format!("{pulls}/{}", pull.number), &[]), &body)?
    } else {
        let body = json!({"title": request.title, "head": request.branch, "base": request.base, "body": request.body});
        place.post(step("open a pull request"), &place.url(&pulls, &[]), &body)?
    };
    Ok(pull.html_url)
}
