//! The tables of every README below `tekton/` say what the YAML says.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it tekton_readme` writes them anew.

use std::path::PathBuf;

use crate::support::temp_dir;
use crate::tekton::catalog::{Document, folder, read};
use crate::tekton::readme::{behind, page_of, renewed};

#[test]
fn every_page_has_the_tables_of_its_yaml() {
    let behind: Vec<String> = read(&folder()).iter().filter_map(|document| behind(&folder(), document)).collect();
    assert!(behind.is_empty(), "{}", behind.join("\n\n"));
}

const TASK: &str = r#"
apiVersion: tekton.dev/v1
kind: Task
metadata:
  name: look
  labels: {app.kubernetes.io/version: "0.1"}
  annotations: {tekton.dev/platforms: "linux/amd64,linux/arm64"}
spec:
  params:
    - {name: IMAGE, description: "One <line>\nand | another"}
    - {name: RUNTIME, type: string, default: ""}
    - {name: ARGS, type: array, default: []}
  results: [{name: FINDINGS, description: How many}]
"#;

const PAGE: &str = "# look\n\nProse.\n\n<!-- generated: params -->\n<!-- end -->\n\nMore.\n\n<!-- generated: workspaces -->\nold\n<!-- end -->\n<!-- generated: results -->\n<!-- end -->\n<!-- generated: platforms -->\n<!-- end -->\nEnd.\n";

fn task() -> Document {
    Document { path: PathBuf::from("tasks/look/0.1/look.yaml"), value: serde_saphyr::from_str(TASK).unwrap() }
}

#[test]
fn tables_are_written_between_their_marks_and_nothing_else_changes() {
    let page = renewed(PAGE, &task()).unwrap();
    insta::assert_snapshot!(page);
    assert_eq!(renewed(&page, &task()).unwrap(), page, "the same again");
}

#[test]
fn a_page_that_is_missing_or_lacks_a_mark_or_is_behind_is_told_with_the_difference() {
    let dir = temp_dir();
    let said = || behind(dir.path(), &task()).unwrap_or_default();
    assert!(said().ends_with("is missing"), "{}", said());
    let path = dir.path().join(page_of(&task()).unwrap());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "# look\n").unwrap();
    assert!(said().ends_with("no line `<!-- generated: params -->`"), "{}", said());
    std::fs::write(&path, PAGE.replacen("<!-- end -->", "", 4)).unwrap();
    assert!(said().contains("no `<!-- end -->`"), "{}", said());
    std::fs::write(&path, renewed(PAGE, &task()).unwrap().replace("How many", "How few")).unwrap();
    assert!(said().contains("-| `FINDINGS` | How few") && said().contains("+| `FINDINGS` | How many"), "{}", said());
}

#[test]
fn samples_have_no_page_of_their_own() {
    let sample = Document { path: PathBuf::from("tasks/look/0.1/samples/look.yaml"), ..task() };
    assert_eq!(page_of(&sample), None);
}
