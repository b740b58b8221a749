//! Who builds: what a CI system tells its jobs in their environment.

use std::path::Path;

use url::Url;

/// The builder's name where no CI system is known.
const LOCAL: &str = "https://github.com/modelcar/modelcar/blob/main/docs/provenance.md#local";
/// No honest value is longer, in bytes.
const MAX_VALUE: usize = 1024;

/// Who builds, and which run of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// A URI; verifiers compare it.
    pub id: String,
    /// The run, where it has a name.
    pub invocation: Option<String>,
}

impl Builder {
    /// The CI system whose environment this is; otherwise a builder that nobody vouches for.
    pub fn detect(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| is_plain(value));
        let known = github(&variable).or_else(|| gitlab(&variable)).or_else(|| jenkins(&variable));
        known.unwrap_or_else(|| Self { id: LOCAL.to_owned(), invocation: None })
    }

    fn of(id: String, invocation: Option<String>) -> Option<Self> {
        let is_url = |text: &String| Url::parse(text).is_ok();
        Some(Self { id, invocation: invocation.filter(is_url) }).filter(|builder| is_url(&builder.id))
    }
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>; the builder is the workflow, as in GitHub's own
/// attestations.
fn github(variable: &dyn Fn(&str) -> Option<String>) -> Option<Builder> {
    let server = variable("GITHUB_SERVER_URL")?;
    let run = || {
        let (repository, run) = (variable("GITHUB_REPOSITORY")?, variable("GITHUB_RUN_ID")?);
        let attempt = variable("GITHUB_RUN_ATTEMPT").map(|attempt| format!("/attempts/{attempt}")).unwrap_or_default();
        Some(format!("{server}/{repository}/actions/runs/{run}{attempt}"))
    };
    Builder::of(format!("{server}/{}", variable("GITHUB_WORKFLOW_REF")?), run())
}

/// <https://docs.gitlab.com/ci/variables/predefined_variables/>; the builder is the runner, as in GitLab's own attestations.
fn gitlab(variable: &dyn Fn(&str) -> Option<String>) -> Option<Builder> {
    let id = format!("{}/-/runners/{}", variable("CI_PROJECT_URL")?, variable("CI_RUNNER_ID")?);
    Builder::of(id, variable("CI_JOB_URL"))
}

/// <https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables>
fn jenkins(variable: &dyn Fn(&str) -> Option<String>) -> Option<Builder> {
    Builder::of(variable("JENKINS_URL")?, variable("BUILD_URL"))
}

/// The environment is written by whoever starts the job.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.len() <= MAX_VALUE && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether this runs as a step of a Tekton task: there Tekton Chains, which saw the whole run, attests the build.
/// <https://tekton.dev/docs/chains/>
pub fn in_tekton(root: &Path) -> bool {
    root.join("tekton/results").is_dir() && root.join("tekton/steps").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)]) -> (String, Option<String>) {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let builder = Builder::detect(&get);
        (builder.id, builder.invocation)
    }

    #[test]
    fn a_ci_system_is_known_by_its_environment() {
        let github = [
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_WORKFLOW_REF", "o/r/.github/workflows/x.yml@refs/heads/main"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_RUN_ATTEMPT", "2"),
        ];
        let workflow = "https://github.com/o/r/.github/workflows/x.yml@refs/heads/main".to_owned();
        assert_eq!(detect(&github), (workflow.clone(), Some("https://github.com/o/r/actions/runs/7/attempts/2".to_owned())));
        assert_eq!(detect(&github[..3]), (workflow, None));
        let gitlab = [("CI_PROJECT_URL", "https://g.com/o/r"), ("CI_RUNNER_ID", "3"), ("CI_JOB_URL", "https://g.com/o/r/-/jobs/9")];
        assert_eq!(detect(&gitlab), ("https://g.com/o/r/-/runners/3".to_owned(), Some("https://g.com/o/r/-/jobs/9".to_owned())));
        let jenkins = [("JENKINS_URL", "https://j.com/"), ("BUILD_URL", "https://j.com/job/1/")];
        assert_eq!(detect(&jenkins), ("https://j.com/".to_owned(), Some("https://j.com/job/1/".to_owned())));
    }

    #[test]
    fn a_strange_environment_is_no_builder() {
        for variables in [
            &[][..],
            &[("JENKINS_URL", "")],
            &[("JENKINS_URL", "not a url")],
            &[("JENKINS_URL", "https://j.com/\u{1b}[2J")],
            &[("GITHUB_SERVER_URL", "https://github.com")],
        ] {
            assert_eq!(detect(variables), (LOCAL.to_owned(), None), "{variables:?}");
        }
        assert_eq!(detect(&[("JENKINS_URL", "https://j.com/"), ("BUILD_URL", "1 2")]).1, None);
    }

    #[test]
    fn tekton_is_known_by_its_folders() {
        let root = tempfile::tempdir().unwrap();
        assert!(!in_tekton(root.path()));
        for folder in ["tekton/results", "tekton/steps"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        assert!(in_tekton(root.path()));
    }
}
