//! What a Tekton task is told about a rollout.

use super::super::CliError;
use super::super::stored::Values;
use super::{Rolling, commit};
use crate::report::tekton;
use crate::rollout::{Landed, SiteName};

impl Rolling<'_> {
    /// Tells where the change is, and which sites have it; of several waves the last commit, which holds the others.
    pub(super) fn write_results(&self, landed: &[Landed], sites: &[SiteName]) -> Result<(), CliError> {
        let current = || self.workspace.repository().branch().ok().flatten();
        self.results.write(self.ui, &values(landed, sites, &current))
    }
}

fn values(landed: &[Landed], sites: &[SiteName], current: &dyn Fn() -> Option<String>) -> Values {
    let last = landed.iter().rev().find(|landed| commit(landed).is_some());
    let branch = last.and_then(|last| match last {
        Landed::Pushed { branch, .. } | Landed::Proposed { branch, .. } => Some(branch.clone()),
        Landed::Committed(_) => current(),
        Landed::Unchanged => None,
    });
    let requests: Vec<&str> = landed.iter().filter_map(request).collect();
    let sites: Vec<&str> = sites.iter().map(SiteName::as_str).collect();
    vec![
        (tekton::COMMIT, last.and_then(commit).unwrap_or_default()),
        (tekton::BRANCH, branch.unwrap_or_default()),
        (tekton::PULL_REQUEST, requests.join(",")),
        (tekton::SITES, sites.join(",")),
    ]
}

fn request(landed: &Landed) -> Option<&str> {
    match landed {
        Landed::Proposed { url, .. } => Some(url),
        Landed::Unchanged | Landed::Committed(_) | Landed::Pushed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::CommitId;

    fn told(landed: &[Landed], sites: &[&str]) -> [String; 4] {
        let sites: Vec<SiteName> = sites.iter().map(|site| site.parse().unwrap()).collect();
        let values = values(landed, &sites, &|| Some("main".to_owned()));
        assert_eq!(values.len(), tekton::of_verb("deploy").len());
        [0, 1, 2, 3].map(|at: usize| values[at].1.clone())
    }

    fn commit_id(digit: &str) -> CommitId {
        CommitId::new(&digit.repeat(40)).unwrap()
    }

    #[test]
    fn nothing_to_change_is_an_empty_commit_and_the_site_has_it() {
        assert_eq!(told(&[Landed::Unchanged], &["edge-01"]), ["", "", "", "edge-01"].map(str::to_owned));
        assert_eq!(told(&[], &[]), [""; 4].map(str::to_owned));
    }

    #[test]
    fn of_several_waves_the_last_commit_is_told_and_every_request() {
        let pushed = |digit| Landed::Pushed { commit: commit_id(digit), branch: "main".to_owned(), remote: "r".to_owned() };
        let said = told(&[pushed("a"), pushed("b"), Landed::Unchanged], &["edge-01", "edge-02"]);
        assert_eq!(said, [&"b".repeat(40), "main", "", "edge-01,edge-02"].map(str::to_owned));
        let proposed = |digit, url: &str| Landed::Proposed {
            commit: commit_id(digit),
            branch: format!("modelcar/{digit}"),
            remote: "r".to_owned(),
            url: url.to_owned(),
        };
        let said = told(&[proposed("a", "https://f/1"), proposed("b", "https://f/2")], &[]);
        assert_eq!(said, [&"b".repeat(40), "modelcar/b", "https://f/1,https://f/2", ""].map(str::to_owned));
        assert_eq!(told(&[Landed::Committed(commit_id("c"))], &[])[1], "main");
    }
}
