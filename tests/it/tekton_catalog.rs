//! What the project ships for Tekton: tasks, step actions, pipelines and triggers.

use crate::tekton::catalog::{find, folder, read};

#[test]
fn every_document_has_a_kind_and_a_name() {
    for document in read(&folder()) {
        let found = find(std::slice::from_ref(&document), document.kind(), document.name());
        assert!(!found.kind().is_empty() && !found.name().is_empty(), "{}", document.path.display());
    }
}
