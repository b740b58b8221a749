//! GitLab's merge requests: <https://docs.gitlab.com/api/merge_requests/>.

use serde::Deserialize;
use serde_json::json;

use super::ForgeError;
use super::place::{Place, Request, Step, encoded};

#[derive(Deserialize)]
struct Merge {
    iid: u64,
    web_url: String,
}

pub(super) fn request(place: &Place, request: &Request<'_>) -> Result<String, ForgeError> {
    let step = |action| Step { action, branch: request.branch };
    let merges = format!("/projects/{}/merge_requests", encoded(&place.project));
    let open = [("state", "opened"), ("source_branch", request.branch), ("target_branch", request.base)];
    let open: Vec<Merge> = place.get(step("look for an open merge request"), &place.url(&merges, &open))?;
    let merge: Merge = if let Some(merge) = open.first() {
        let body = json!({"title": request.title, "description": request.body});
        place.put(step("update the merge request"), &place.url(&format!("{merges}/{}", merge.iid), &[]), &body)?
    } else {
        let body = json!({
            "source_branch": request.branch,
            "target_branch": request.base,
            "title": request.title,
            "description": request.body,
            "remove_source_branch": true,
        });
        place.post(step("open a merge request"), &place.url(&merges, &[]), &body)?
    };
    Ok(merge.web_url)
}
