use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn files(paths: &[&str]) -> ModelFiles {
    paths.iter().map(|path| ((*path).to_owned(), Digest::of(path.as_bytes()))).collect()
}

fn written(paths: &[&str]) -> Value {
    serde_json::from_slice(&write("model", &files(paths)).unwrap()).unwrap()
}

fn parsed(document: &Value) -> Result<Statement, InvalidStatement> {
    Statement::parse(&serde_json::to_vec(document).unwrap())
}

/// The statement about files in this order, with a root that fits.
fn in_order(paths: &[&str]) -> Value {
    let mut document = written(&["x"]);
    let digests: Vec<Digest> = paths.iter().map(|path| Digest::of(path.as_bytes())).collect();
    document["predicate"]["resources"] =
        paths.iter().zip(&digests).map(|(path, digest)| json!({"name": path, "algorithm": "sha256", "digest": digest.hex()})).collect();
    document["subject"][0]["digest"]["sha256"] = root(&digests).hex().into();
    document
}

#[test]
fn says_what_the_specification_says() {
    let digests = ["one", "two"].map(|text| Digest::of(text.as_bytes()));
    let files = ModelFiles::from([("b".to_owned(), digests[1]), ("a/c".to_owned(), digests[0])]);
    let root = Digest::of(&[digests[0].as_bytes().as_slice(), digests[1].as_bytes()].concat());
    let document: Value = serde_json::from_slice(&write("iris", &files).unwrap()).unwrap();
    let expected = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "iris", "digest": {"sha256": root.hex()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "resources": [
                {"name": "a/c", "algorithm": "sha256", "digest": digests[0].hex()},
                {"name": "b", "algorithm": "sha256", "digest": digests[1].hex()},
            ],
            "serialization": {
                "method": "files", "hash_type": "sha256", "allow_symlinks": false,
                "ignore_paths": [".git", ".gitattributes", ".github", ".gitignore"],
            },
        },
    });
    assert_eq!(document, expected);
    let statement = parsed(&document).unwrap();
    assert_eq!((statement.root, &statement.files, statement.name.as_str()), (root, &files, "iris"));
}

#[test]
fn files_are_in_the_order_of_code_points() {
    let document = written(&["b", "a/b", "a-b", "Z", "é", "\u{1f600}", "\u{ffff}"]);
    let names: Vec<&str> =
        document["predicate"]["resources"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Z", "a-b", "a/b", "b", "é", "\u{ffff}", "\u{1f600}"]);
}

/// model_signing sorts by folder, Go's and ours by text.
#[test]
fn reads_files_in_any_order_and_sums_them_in_it() {
    let statement = parsed(&in_order(&["a/b", "a-b"])).unwrap();
    assert_eq!(statement.files, files(&["a/b", "a-b"]));
    assert_ne!(statement.root, root(files(&["a/b", "a-b"]).values()));
}

#[test]
fn paths_are_in_the_one_form_that_the_specification_allows() {
    for path in ["a", "a/b", "..a", ".hidden", "a b", "é/ü", "C:\\x", "a:0:10"] {
        assert!(parsed(&in_order(&[path])).is_ok(), "{path}");
    }
    let long = "a".repeat(MAX_PATH + 1);
    for path in ["", "/a", "a/", "./a", "a/./b", "a//b", "../a", "a/../b", "a/..", ".", "a\0b", &long] {
        assert!(matches!(parsed(&in_order(&[path])), Err(InvalidStatement::Path { .. })), "{path}");
    }
}

#[test]
fn refuses_a_file_that_is_there_twice() {
    let error = parsed(&in_order(&["a", "a"])).unwrap_err();
    assert_eq!(error.to_string(), "the statement names `a`: it is there twice");
}

#[test]
fn refuses_what_it_does_not_check_by_its_name() {
    let table = [
        ("/predicate/serialization/method", json!("shards"), "the method `shards`"),
        ("/predicate/serialization/hash_type", json!("blake3"), "the hash `blake3`"),
        ("/predicate/resources/0/algorithm", json!("blake2b"), "the hash `blake2b`"),
        ("/predicate/serialization/allow_symlinks", json!(true), "symbolic links"),
        ("/predicateType", json!("https://model_signing/Digests/v0.1"), "`https://model_signing/Digests/v0.1`"),
        ("/_type", json!("https://in-toto.io/Statement/v0.1"), "`https://in-toto.io/Statement/v0.1`"),
    ];
    for (pointer, value, reason) in table {
        let mut document = written(&["a"]);
        *document.pointer_mut(pointer).unwrap() = value;
        let error = parsed(&document).unwrap_err().to_string();
        assert!(error.contains(reason), "{pointer}: {error}");
    }
}

#[test]
fn refuses_what_deviates_from_the_form() {
    let two = json!([{"name": "m", "digest": {"sha256": "00"}}, {"name": "m", "digest": {"sha256": "00"}}]);
    let table = [
        ("/subject", json!([]), "one subject"),
        ("/subject", two, "one subject"),
        ("/subject/0/digest/sha256", json!("00"), "not a digest"),
        ("/subject/0/digest/sha256", json!(Digest::of(b"").hex()), "contradicts itself"),
        ("/predicate/resources", json!([]), "0 files"),
        ("/predicate/resources/0/digest", json!("0A"), "not a digest"),
        ("/predicate/serialization/shard_size", json!(1000), "shard size"),
        ("/predicate/serialization/follow", json!(true), "unknown field"),
        ("/predicate/serialization/allow_symlinks", json!("false"), "boolean"),
        ("/predicate/serialization/ignore_paths", json!(["*.tmp"]), "pattern"),
        ("/predicate/serialization/ignore_paths", json!(["/etc"]), "absolute"),
        ("/predicate/serialization/ignore_paths", json!(["../x"]), "climbs"),
        ("/predicate/serialization/ignore_paths", json!(["."]), "`.`"),
        ("/predicate/serialization/ignore_paths", json!(vec!["x"; MAX_IGNORED + 1]), "1001 paths"),
    ];
    for (pointer, value, reason) in table {
        let mut document = written(&["a"]);
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        match document.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => document.pointer_mut(parent).unwrap()[member] = value,
        }
        let error = parsed(&document).unwrap_err().to_string();
        assert!(error.contains(reason), "{pointer}: {error}");
    }
}

#[test]
fn passes_over_members_that_a_later_version_may_add() {
    let mut document = written(&["a"]);
    document["predicate"]["model_card"] = json!({});
    document["predicate"]["resources"][0]["annotations"] = json!({"x": "y"});
    document["subject"][0].as_object_mut().unwrap().remove("name");
    document["predicate"]["serialization"].as_object_mut().unwrap().remove("ignore_paths");
    assert!(parsed(&document).is_ok());
}

#[test]
fn text_of_strangers_cannot_reach_the_terminal() {
    let mut document = written(&["a"]);
    document["predicateType"] = format!("\u{1b}[2J{}", "x".repeat(5000)).into();
    let error = parsed(&document).unwrap_err().to_string();
    assert!(error.len() < 400 && !error.contains('\u{1b}'), "{error}");
    assert!(!Difference::Extra("\u{1b}[2J".to_owned()).to_string().contains('\u{1b}'));
}

#[test]
fn names_every_file_that_differs() {
    let statement = parsed(&written(&["changed", "missing", "same"])).unwrap();
    let mut found = files(&["added", "changed", "same"]);
    found.insert("changed".to_owned(), Digest::of(b"other"));
    let differences: Vec<String> = statement.differences(&found).iter().map(ToString::to_string).collect();
    assert_eq!(differences, ["`added` was added", "`changed` was changed", "`missing` is missing"]);
    assert!(statement.differences(&statement.files).is_empty());
}

#[test]
fn ignores_version_control_at_the_top_and_what_the_signer_named() {
    let mut document = written(&["a"]);
    document["predicate"]["serialization"]["ignore_paths"] = json!(["cache", "x/y.tmp"]);
    let ignored = parsed(&document).unwrap().ignored;
    for path in [".git", ".git/config", ".github/x/y", ".gitignore", ".gitattributes", "cache", "cache/x", "x/y.tmp"] {
        assert!(ignored.covers(path), "{path}");
    }
    for path in ["a", "sub/.git", "sub/cache", "cache2", "x", "x/y", ".gitmodules", "Cache"] {
        assert!(!ignored.covers(path), "{path}");
    }
}

/// A file that is ignored and signed all the same must be there.
#[test]
fn a_signed_file_is_never_ignored() {
    let mut document = in_order(&["cache/a"]);
    document["predicate"]["serialization"]["ignore_paths"] = json!(["cache"]);
    let statement = parsed(&document).unwrap();
    assert_eq!(statement.differences(&files(&["cache/b"])), [Difference::Missing("cache/a".to_owned())]);
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Statement::parse(&bytes);
    }

    #[test]
    fn what_is_written_is_read(names in proptest::collection::btree_set("[a-zé.]{1,4}(/[a-z]{1,3}){0,2}", 1..20)) {
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| path_fault(name).is_none()).collect();
        prop_assume!(!names.is_empty());
        prop_assert_eq!(parsed(&written(&names)).unwrap().files, files(&names));
    }
}
