//! The commands of the documentation run as they are written.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{clean_command, repo_root, temp_dir};

/// The `sh` blocks of a page, in order.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(repo_root().join(page)).unwrap();
    text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_command_of_the_tour_runs() {
    let home = temp_dir();
    symlink(repo_root().join("testdata"), home.path().join("testdata")).unwrap();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_modelcar"), bin.join("modelcar")).unwrap();
    let script = format!("set -eux\n{}", blocks("docs/tour.md").concat());
    assert!(script.matches("modelcar ").count() > 10);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = clean_command("sh", home.path()).current_dir(home.path()).env("PATH", path).args(["-c", &script]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert!(out.contains("storageUri") && err.contains("verified") && out.contains("commit "), "{out}\n{err}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut pages = vec!["README.md".to_owned()];
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
