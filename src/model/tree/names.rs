//! Which names may stand in an image, and which files are never part of a model.

use std::ffi::OsStr;
use std::path::Path;

use crate::model::ModelError;

/// The name as text, if every reader of the image will see the same one.
pub(super) fn checked<'a>(path: &Path, name: &'a OsStr) -> Result<&'a str, ModelError> {
    let refused = |why| ModelError::Name { path: path.to_owned(), why };
    let name = name.to_str().ok_or_else(|| refused("it is not UTF-8"))?;
    match objection(name) {
        Some(why) => Err(refused(why)),
        None => Ok(name),
    }
}

fn objection(name: &str) -> Option<&'static str> {
    if name.is_empty() || name == "." || name == ".." {
        return Some("it is no name of a file");
    }
    if name.chars().any(char::is_control) {
        return Some("it has a control character");
    }
    if name.contains(['\\', '/']) {
        return Some("it has a separator in it");
    }
    // https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
    name.starts_with(".wh.").then_some("in an image layer it means a deletion")
}

/// Why the file or folder at this place is left out: what tools and systems leave behind, and no server reads.
pub fn litter(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let why = match name {
        _ if name.starts_with(".git") => "version control",
        ".hg" | ".svn" => "version control",
        ".DS_Store" | "Thumbs.db" | "desktop.ini" => "left by the desktop",
        "__pycache__" | ".ipynb_checkpoints" => "left by Python",
        ".env" | ".netrc" | ".npmrc" | ".pypirc" | ".ssh" | ".aws" | ".kube" | ".docker" | "id_rsa" | "id_ed25519" | "cosign.key" => {
            "it may hold a secret, and an image is public to all who can pull it"
        }
        ".cache" => "a cache, such as the download's",
        _ => return None,
    };
    Some(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn names_that_some_reader_would_take_otherwise_are_refused() {
        for (name, ok) in [
            ("model.onnx", true),
            ("模型 v1 (final).onnx", true),
            (".hidden", true),
            ("..data", true),
            ("a\\b", false),
            ("a\nb", false),
            ("a\u{85}b", false),
            ("..", false),
            (".", false),
            ("", false),
            (".wh.weights.bin", false),
        ] {
            assert_eq!(checked(Path::new("m"), OsStr::new(name)).is_ok(), ok, "{name:?}");
        }
        assert!(checked(Path::new("m"), OsStr::from_bytes(b"caf\xe9.onnx")).is_err());
    }

    #[test]
    fn a_refused_name_is_shown_escaped() {
        let error = checked(Path::new("m/a\x1b[2Jb"), OsStr::new("a\x1b[2Jb")).unwrap_err();
        assert!(!error.to_string().contains('\x1b'), "{error}");
    }

    #[test]
    fn what_tools_leave_behind_is_no_part_of_a_model() {
        for path in [".git", "sub/.gitattributes", ".DS_Store", "a/__pycache__", ".cache", "a/.cache"] {
            assert!(litter(path).is_some(), "{path}");
        }
        for path in ["model.git", "cache/huggingface", "x.cache/huggingface", "huggingface", ".cached", "config.json", ".config"] {
            assert!(litter(path).is_none(), "{path}");
        }
    }
}
