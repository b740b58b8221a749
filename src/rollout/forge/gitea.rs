//! Gitea's pull requests: <https://docs.gitea.com/api/>, `repoListPullRequests` and its neighbours.

use serde::Deserialize;
use serde_json::json;

use super::ForgeError;
use super::place::{Place, Request, Step};

/// Pages of open requests that are looked through; the list cannot be asked for one branch.
const MOST_PAGES: u32 = 20;
const PAGE: usize = 50;

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    branch: String,
}

pub(super) fn request(place: &Place, request: &Request<'_>) -> Result<String, ForgeError> {
    let step = |action| Step { action, branch: request.branch };
    let pulls = format!("/repos/{}/pulls", place.project);
    let pull: Pull = if let Some(pull) = find(place, request, &pulls)? {
        let body = json!({"title": request.title, "body": request.body});
        place.patch(step("update the pull request"), &place.url(&format!("{pulls}/{}", pull.number), &[]), &body)?
    } else {
        let body = json!({"title": request.title, "head": request.branch, "base": request.base, "body": request.body});
        place.post(step("open a pull request"), &place.url(&pulls, &[]), &body)?
    };
    Ok(pull.html_url)
}

fn find(place: &Place, request: &Request<'_>, pulls: &str) -> Result<Option<Pull>, ForgeError> {
    let step = Step { action: "look for an open pull request", branch: request.branch };
    for page in 1..=MOST_PAGES {
        let (page, limit) = (page.to_string(), PAGE.to_string());
        let url = place.url(pulls, &[("state", "open"), ("sort", "recentupdate"), ("page", &page), ("limit", &limit)]);
        let list: Vec<Pull> = place.get(step, &url)?;
        let is_last = list.is_empty();
        let found = list.into_iter().find(|pull| pull.head.branch == request.branch && pull.base.branch == request.base);
        if found.is_some() || is_last {
            return Ok(found);
        }
    }
    Ok(None)
}
