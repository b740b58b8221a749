use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::{Header, MAX_HEADER, SafetensorsError};
use crate::model::formats::testing::Counted;
use crate::model::{Model, ModelError, ReadOptions, read as read_model};

/// A file with this header and so many zeros for data.
pub(in crate::model::formats) fn file(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

/// A header of float32 tensors that lie one after the other, and the size of their data.
pub(in crate::model::formats) fn tensors(list: &[(&str, u64)]) -> Vec<u8> {
    let mut end = 0;
    let entry = |(name, elements): &(&str, u64)| {
        let begin = end;
        end += elements * 4;
        format!(r#""{name}":{{"dtype":"F32","shape":[{elements}],"data_offsets":[{begin},{end}]}}"#)
    };
    let header = format!("{{{}}}", list.iter().map(entry).collect::<Vec<_>>().join(","));
    file(&header, usize::try_from(end).unwrap())
}

fn read(bytes: Vec<u8>) -> Result<Header, SafetensorsError> {
    Header::read(Cursor::new(bytes))
}

fn write(dir: &Path, path: &str, content: &[u8]) {
    fs::write(dir.join(path), content).unwrap();
}

fn read_path(path: &Path) -> Result<Model, ModelError> {
    read_model(path, &ReadOptions::default())
}

#[test]
fn counts_elements_by_type_and_knows_every_name() {
    let header = read(file(
        r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},
            "a\"\u00e4":{"dtype":"F32","shape":[],"data_offsets":[0,4],"later":[{"x":[]}]},"z":{"dtype":"I64","shape":[0,9],"data_offsets":[4,4]}}   "#,
        16,
    ))
    .unwrap();
    assert_eq!(
        header.tally.elements.iter().map(|(dtype, count)| format!("{dtype} {count}")).collect::<Vec<_>>(),
        ["bfloat16 6", "float32 1", "int64 0"]
    );
    assert!(header.holds("a\"ä") && header.holds("b") && header.holds("z") && !header.holds("__metadata__"));
    assert_eq!(header.metadata["format"], "pt");
    assert_eq!(header.cut, None);
}

#[test]
fn long_statistics_in_the_metadata_are_kept_in_part() {
    let statistics = "{\\\"tag\\\": 1}".repeat(50_000);
    let header = read(file(&format!(r#"{{"__metadata__":{{"ss_tag_frequency":"{statistics}","format":"pt"}}}}"#), 0)).unwrap();
    assert_eq!((header.metadata["ss_tag_frequency"].len(), &*header.metadata["format"]), (1024, "pt"));
}

#[test]
fn what_is_wrong_is_refused_with_its_byte_or_tensor() {
    let entry =
        |name: &str, begin: u64, end: u64| format!(r#""{name}":{{"dtype":"U8","shape":[{}],"data_offsets":[{begin},{end}]}}"#, end - begin);
    let list = |entries: &[String]| format!("{{{}}}", entries.join(","));
    let announced = |length: u64| length.to_le_bytes().to_vec();
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("five bytes", b"12345".to_vec(), "byte 0: the length of the header takes 8 bytes, the file has 5"),
        ("a header longer than the file", announced(1000), "byte 0: a header of 1000 bytes is announced, 0 are left"),
        ("a header of 2⁶³ bytes", announced(1 << 63), "a header of 9223372036854775808 bytes is announced"),
        ("an empty header", file("", 0), "byte 8: EOF while parsing a value"),
        ("no object", file("[]", 0), "byte 8: invalid type: sequence, expected an object of tensors"),
        ("cut JSON", file(r#"{"a":"#, 0), "EOF while parsing"),
        ("text after the end", file("{}x", 0), "trailing characters"),
        ("no text", file("{\"\u{0}\":1}", 0), "control character"),
        ("deep JSON", file(&format!("{{\"a\":{}", "[".repeat(100_000)), 0), "byte "),
        ("deep JSON in an unknown field", file(&format!(r#"{{"a":{{"x":{}"#, "[".repeat(100_000)), 0), "EOF while parsing"),
        ("no shape", file(r#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, 4), "missing field `shape`"),
        ("dtype twice", file(r#"{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1), "duplicate field `dtype`"),
        ("a negative shape", file(r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#, 1), "invalid value"),
        (
            "an endless shape",
            file(r#"{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, 0),
            "a shape is beyond 64 bits",
        ),
        ("a type that is none", file(r#"{"a":{"dtype":"F 32","shape":[1],"data_offsets":[0,4]}}"#, 4), r#""F 32" is no element type"#),
        (
            "an end before the begin",
            file(r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}}"#, 2),
            r#"tensor "a" ends at 1, before it begins at 2"#,
        ),
        (
            "data that do not fit the shape",
            file(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
            r#"tensor "a" has 8 bytes, and 3 elements of float32"#,
        ),
        ("a tensor twice", file(&list(&[entry("a", 0, 1), entry("a", 1, 2)]), 2), r#"tensor "a": it is there twice"#),
        (
            "overlapping tensors",
            file(&list(&[entry("a", 0, 4), entry("b", 2, 6)]), 6),
            r#"tensor "b": its data begin at 2, inside the tensor before it, which ends at 4"#,
        ),
        ("one tensor in another", file(&list(&[entry("a", 0, 8), entry("b", 2, 4)]), 8), r#"tensor "b": its data begin at 2"#),
        (
            "a hole",
            file(&list(&[entry("a", 0, 4), entry("b", 6, 8)]), 8),
            r#"tensor "b": its data begin at 6, and the tensor before it ends at 4"#,
        ),
        ("a hole at the begin", file(&list(&[entry("a", 1, 4)]), 4), r#"tensor "a": its data begin at 1"#),
        ("bytes after the end", file(&list(&[entry("a", 0, 4)]), 7), "3 bytes after the last tensor belong to none"),
        ("a long escaped name", file(&format!("{{\"\\u00e4{}\":1}}", "x".repeat(100_000)), 0), "a name of 100002 bytes"),
        ("metadata twice", file(r#"{"__metadata__":{},"__metadata__":{}}"#, 0), "`__metadata__` is there twice"),
        ("metadata of numbers", file(r#"{"__metadata__":{"a":1}}"#, 0), "expected a text"),
        (
            "the end of all numbers",
            file(&list(&[entry("a", 0, u64::MAX), entry("b", 0, u64::MAX)]), 0),
            r#"tensor "b": its data begin at 0"#,
        ),
    ];
    for (what, bytes, expected) in table {
        let error = read(bytes).map(|_| ()).expect_err(what);
        assert!(error.to_string().contains(expected), "{what}: {error}");
    }
}

/// What 10⁶ tensors would need.
#[test]
fn a_header_beyond_any_real_one_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "m.safetensors", &(MAX_HEADER + 1).to_le_bytes());
    fs::File::options().write(true).open(dir.path().join("m.safetensors")).unwrap().set_len(1 << 40).unwrap();
    let error = read_path(dir.path()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("more than 16777216 are not read"), "{source}");
}

#[test]
fn every_cut_through_a_header_is_an_error() {
    let whole = tensors(&[("a", 3), ("b", 4)]);
    for length in 0..whole.len() - 28 {
        assert!(read(whole[..length].to_vec()).is_err(), "{length}");
    }
}

#[test]
fn of_a_terabyte_of_weights_only_the_header_is_read() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "m.safetensors", &file(r#"{"a":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}}"#, 0));
    let path = dir.path().join("m.safetensors");
    let header = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(header + (1 << 40)).unwrap();
    let mut counted = Counted::new(fs::File::open(&path).unwrap());
    Header::read(&mut counted).unwrap();
    assert_eq!(counted.count, header);
    let model = read_path(dir.path()).unwrap();
    assert_eq!(model.facts.get("parameters"), Some("1099511627776"));
    assert!(model.findings.is_empty());
}

#[test]
fn a_file_that_is_too_short_is_a_finding_that_names_the_first_tensor_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let whole = tensors(&[("a", 3), ("b", 4), ("c", 1)]);
    write(dir.path(), "cut.safetensors", &whole[..whole.len() - 5]);
    write(dir.path(), "empty.safetensors", b"");
    let model = read_path(dir.path()).unwrap();
    let size = whole.len();
    let seen: Vec<_> =
        model.findings.iter().map(|finding| (finding.rule.id, finding.path.as_deref().unwrap(), finding.what.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("truncated-weights", "cut.safetensors", &*format!("tensor \"b\" ends at byte {}, the file has {}", size - 4, size - 5)),
            ("truncated-weights", "empty.safetensors", "it has 0 bytes, not even the length of its header"),
        ]
    );
}

#[test]
fn a_pointer_of_git_lfs_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "m.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n");
    assert_eq!(read_path(dir.path()).unwrap().findings[0].rule.id, "lfs-pointer");
}

#[test]
fn weights_alone_are_a_model_with_facts_and_a_word_of_doubt() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "vad.safetensors",
        &file(r#"{"__metadata__":{"format":"pt","Über":"x"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
    );
    let model = read_path(&dir.path().join("vad.safetensors")).unwrap();
    assert_eq!((model.format, &model.mains[..]), ("safetensors", &["vad.safetensors".to_owned()][..]));
    for (key, expected) in [("parameters", "2"), ("parameter-types", "float32 2"), ("metadata-format", "pt"), ("metadata-ber", "x")] {
        assert_eq!(model.facts.get(key), Some(expected), "{key}");
    }
    assert!(model.notes.iter().any(|note| note.contains("config.json")));
}
