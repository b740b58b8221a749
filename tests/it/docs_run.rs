//! The commands of the documentation run as they are written.

use std::fs;
use std::os::unix::fs::symlink;

use modelcar::rollout::Site;

use crate::support::{clean_command, kustomize, need, repo_root, run, stdout_of, temp_dir};

/// The `sh` blocks of a page, in order.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(repo_root().join(page)).unwrap();
    text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// Runs the commands of a page in an empty home with the test data, and gives standard output and error.
fn run_page(page: &str) -> (String, String) {
    let home = temp_dir();
    symlink(repo_root().join("testdata"), home.path().join("testdata")).unwrap();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_modelcar"), bin.join("modelcar")).unwrap();
    let script = format!("set -eux\n{}", blocks(page).concat());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = clean_command("sh", home.path()).current_dir(home.path()).env("PATH", path).args(["-c", &script]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{err}");
    (out, err)
}

#[test]
fn every_command_of_the_tour_runs() {
    assert!(blocks("docs/tour.md").concat().matches("modelcar ").count() > 10);
    let (out, err) = run_page("docs/tour.md");
    assert!(out.contains("storageUri") && err.contains("verified") && out.contains("commit "), "{out}\n{err}");
}

#[test]
fn every_command_of_the_gitops_page_runs() {
    let Some(kubectl) = need("kubectl") else { return };
    let home = temp_dir();
    kustomize::copy(&repo_root().join("edge-clusters"), &home.path().join("edge-clusters"));
    fs::create_dir(home.path().join("bin")).unwrap();
    symlink(kubectl, home.path().join("bin/kubectl")).unwrap();
    let script = format!("set -eu\n{}", blocks("docs/gitops.md").concat());
    let path = format!("{}:{}", home.path().join("bin").display(), std::env::var("PATH").unwrap());
    let built = stdout_of(clean_command("sh", home.path()).current_dir(home.path()).env("PATH", path).args(["-c", &script]));
    assert!(built.contains("kind: InferenceService") && built.contains("deploymentMode: Standard"), "{built}");
    let site = Site::read(&home.path().join("edge-clusters"), &"edge-site-03".parse().unwrap()).unwrap();
    assert_eq!(site.facts.unwrap().ring.unwrap().as_str(), "fleet");
}

#[test]
fn the_gitops_page_knows_every_member_of_a_site() {
    let schema = fs::read_to_string(repo_root().join("edge-clusters/sites/site.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let page = fs::read_to_string(repo_root().join("docs/gitops.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let mut told: Vec<_> = rows.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`')).collect();
    told.sort_unstable();
    let members = schema["properties"].as_object().unwrap().keys().map(String::as_str);
    let mut members: Vec<_> = members.collect();
    members.sort_unstable();
    assert_eq!(told, members);
}

#[test]
fn every_command_about_settings_runs() {
    let (out, err) = run_page("docs/configuration.md");
    assert!(out.contains("MODELCAR_ORGANISATION") && err.contains("iris:v1"), "{out}\n{err}");
}

#[test]
fn every_command_for_pipelines_that_needs_no_cluster_runs() {
    let Some(kubectl) = need("kubectl") else { return };
    let home = temp_dir();
    kustomize::copy(&repo_root().join("tekton"), &home.path().join("tekton"));
    fs::create_dir(home.path().join("bin")).unwrap();
    symlink(kubectl, home.path().join("bin/kubectl")).unwrap();
    symlink(env!("CARGO_BIN_EXE_modelcar"), home.path().join("bin/modelcar")).unwrap();
    let path = format!("{}:{}", home.path().join("bin").display(), std::env::var("PATH").unwrap());
    let script = format!("set -eu\n{}", blocks("docs/tekton.md").concat());
    let mut sh = clean_command("sh", home.path());
    run(sh.current_dir(home.path()).env("PATH", path).env("COSIGN_PASSWORD", "secret").args(["-c", &script]));
    let read = |file: &str| fs::read_to_string(home.path().join(file)).unwrap();
    assert_eq!(read("catalogue.yaml").matches("\nkind: ").count(), 14 + 14 + 3);
    assert!(read("triggers.yaml").contains("namespace: models-ci") && read("cosign.pub").contains("PUBLIC KEY"));
}

#[test]
fn every_command_about_tekton_runs() {
    let (out, err) = run_page("docs/tekton-results.md");
    assert!(out.contains("sha256:") && out.contains("verify failed, and 1 did not run"), "{out}\n{err}");
}

/// The page's table of verbs is the table that the binary writes by.
#[test]
fn the_page_about_tekton_knows_every_result_of_every_verb() {
    let page = fs::read_to_string(repo_root().join("docs/tekton-results.md")).unwrap();
    for (verb, results) in modelcar::report::tekton::VERBS {
        let row = page.lines().find(|line| line.starts_with("| ") && line.split(" | ").next().unwrap().contains(&format!("`{verb}`")));
        let row = row.unwrap_or_else(|| panic!("no row of {verb}"));
        let told = results.iter().filter(|result| row.contains(&format!("`{}`", result.name))).count();
        assert_eq!(told, results.len(), "{verb}: {row}");
    }
}

#[test]
fn every_command_about_fetching_runs() {
    let (out, err) = run_page("docs/fetch.md");
    assert!(out.contains("\"source_uri\": \"oci:store@sha256:") && err.contains("nothing to do: "), "{out}\n{err}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut pages = vec!["README.md".to_owned(), "edge-clusters/README.md".to_owned()];
    pages.extend(
        fs::read_dir(repo_root().join("docs")).unwrap().map(|page| format!("docs/{}", page.unwrap().file_name().to_str().unwrap())),
    );
    for page in pages.iter().filter(|page| page.to_ascii_lowercase().ends_with(".md")) {
        let text = fs::read_to_string(repo_root().join(page)).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || link.starts_with("http") {
                continue;
            }
            let target = repo_root().join(page).parent().unwrap().join(file);
            assert!(target.exists(), "{page} links to {link}");
        }
    }
}
