use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::writer::Writer;
use super::{GgufError, GgufFile, Value};
use crate::model::{Model, ModelError, ReadOptions, read as read_model};

fn read(bytes: Vec<u8>) -> Result<GgufFile, GgufError> {
    GgufFile::read(Cursor::new(bytes))
}

fn write(dir: &Path, path: &str, content: &[u8]) {
    let file = dir.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

fn read_path(path: &Path) -> Result<Model, ModelError> {
    read_model(path, &ReadOptions::default())
}

fn findings(model: &Model) -> Vec<String> {
    let place = |finding: &crate::model::Finding| finding.path.clone().unwrap_or_default();
    model.findings.iter().map(|finding| format!("{} {}: {}", finding.rule.id, place(finding), finding.what)).collect()
}

/// A small network of two tensors.
fn llama(writer: Writer) -> Writer {
    writer
        .text("general.architecture", "llama")
        .text("general.name", "Tiny")
        .number("general.file_type", 15)
        .text("general.license", "apache-2.0")
        .number("llama.context_length", 4096)
        .number("llama.block_count", 2)
        .number("llama.embedding_length", 256)
        .texts("tokenizer.ggml.tokens", &["<s>", "a", ""])
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.chat_template", "{{ messages }}")
        .tensor("token_embd.weight", 12, &[256, 3], 3 * 144)
        .tensor("output_norm.weight", 0, &[256], 1024)
}

#[test]
fn every_version_and_byte_order_reads_the_same() {
    for writer in [Writer::version(1), Writer::version(2), Writer::version(3), Writer::big_endian()] {
        let file = read(llama(writer).file()).unwrap();
        assert_eq!(file.text("general.architecture"), Some("llama"));
        assert_eq!(file.count("llama.context_length"), Some(4096));
        assert_eq!(file.values["tokenizer.ggml.tokens"], Value::List(3));
        assert_eq!(file.tensors.elements(), 1024);
        assert_eq!(file.tensors.cut, None, "version {}", file.version);
    }
}

#[test]
fn tells_what_a_person_wants_to_know() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tiny-Q4_K_M.gguf", &llama(Writer::new()).file());
    let model = read_path(dir.path()).unwrap();
    assert_eq!((model.format, &model.mains[..]), ("gguf", &["tiny-Q4_K_M.gguf".to_owned()][..]));
    for (key, expected) in [
        ("architecture", "llama"),
        ("name", "Tiny"),
        ("parameters", "1024"),
        ("parameter-types", "F32 256, Q4_K 768"),
        ("tensor-types", "F32 1, Q4_K 1"),
        ("quantization", "Q4_K_M"),
        ("context-length", "4096"),
        ("layers", "2"),
        ("vocabulary", "3"),
        ("tokenizer", "gpt2"),
        ("chat-template", "in the file"),
        ("licence", "apache-2.0"),
        ("gguf-version", "3"),
    ] {
        assert_eq!(model.facts.get(key), Some(expected), "{key}");
    }
    assert_eq!(findings(&model), [""; 0]);
}

#[test]
fn every_kind_of_value_is_read() {
    let values: [(u32, &[u8], Value); 9] = [
        (0, &[200], Value::Whole(200)),
        (1, &[0xff], Value::Negative(-1)),
        (2, &[1, 1], Value::Whole(257)),
        (3, &[0xfe, 0xff], Value::Negative(-2)),
        (5, &[5, 0, 0, 0], Value::Whole(5)),
        (6, &[0, 0, 0x80, 0x3f], Value::Number(1.0)),
        (7, &[1], Value::Bool(true)),
        (10, &[1, 0, 0, 0, 1, 0, 0, 0], Value::Whole((1 << 32) + 1)),
        (12, &[0, 0, 0, 0, 0, 0, 0, 0xc0], Value::Number(-2.0)),
    ];
    for (kind, bytes, expected) in values {
        assert_eq!(read(Writer::new().raw("k", kind, bytes).file()).unwrap().values["k"], expected, "type {kind}");
    }
}

#[test]
fn lists_in_lists_are_counted_and_skipped() {
    let inner = [vec![8, 0, 0, 0], Writer::new().length(1), Writer::new().string("x")].concat();
    let file = read(Writer::new().list("k", 9, 2, &inner.repeat(2)).text("after", "here").file()).unwrap();
    assert_eq!((&file.values["k"], file.text("after")), (&Value::List(2), Some("here")));
}

#[test]
fn a_long_text_is_kept_in_part() {
    let file = read(Writer::new().text("k", &"ä".repeat(10_000)).text("after", "here").file()).unwrap();
    assert!(file.text("k").unwrap().len() <= 1027);
    assert_eq!(file.text("after"), Some("here"));
}

#[test]
fn what_is_wrong_is_refused_with_its_byte() {
    let huge = 1 << 63;
    let deep = (0..10).fold(vec![], |inner, _| [vec![9, 0, 0, 0], Writer::new().length(1), inner].concat());
    let many = (0..70_000).map(|key| format!("k{key}")).fold(Writer::new(), |writer, key| writer.raw(&key, 0, &[0]));
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "byte 0: 4 bytes are announced, 0 are left"),
        ("another file", b"PK\x03\x04 and more".to_vec(), "byte 0: it does not begin with `GGUF`"),
        ("only a magic", b"GGUF".to_vec(), "byte 4: 4 bytes are announced, 0 are left"),
        ("version 4", Writer::version(4).file(), "byte 4: version 4 is not known"),
        ("version 0", Writer::version(0).file(), "byte 4: version 0 is not known"),
        ("2⁶³ tensors", Writer::new().counted(huge, 0), "byte 24: 9223372036854775808 tensors are announced, and 0 bytes are left"),
        ("2⁶³ keys", Writer::new().counted(0, huge), "byte 24: 9223372036854775808 keys are announced, and 0 bytes are left"),
        ("70 000 keys", many.file(), "byte 24: more than 65536 keys"),
        (
            "a list of 5·10⁷ numbers",
            Writer::new().list("tokenizer.ggml.scores", 6, 50_000_000, &[0]).header(),
            "50000000 values are announced, and 1 bytes are left",
        ),
        (
            "a list of 5·10⁷ texts",
            Writer::new().list("k", 8, 50_000_000, &[0; 8]).header(),
            "50000000 values are announced, and 8 bytes are left",
        ),
        ("a list of 2⁶³ lists", Writer::new().list("k", 9, huge, &[]).header(), "9223372036854775808 values are announced"),
        (
            "a text of 2⁶³ bytes",
            Writer::new().raw("k", 8, &huge.to_le_bytes()).header(),
            "9223372036854775808 bytes are announced, 0 are left",
        ),
        ("deep lists", Writer::new().raw("k", 9, &deep).file(), "lists are nested more than 4 deep"),
        ("value type 13", Writer::new().raw("k", 13, &[0; 8]).file(), "13 is no type of value"),
        ("list of type 13", Writer::new().list("k", 13, 1, &[0; 8]).file(), "13 is no type of value"),
        ("a key twice", Writer::new().number("k", 1).number("k", 1).file(), "key \"k\" is there twice"),
        ("alignment 0", Writer::new().number("general.alignment", 0).counted(0, 1), "the alignment 0 is no power of two"),
        ("alignment 3", Writer::new().number("general.alignment", 3).counted(0, 1), "the alignment 3 is no power of two"),
        ("a tensor twice", Writer::new().tensor("t", 24, &[1], 1).tensor("t", 24, &[1], 1).file(), "tensor \"t\" is there twice"),
        ("5 dimensions", Writer::new().tensor("t", 24, &[1; 5], 1).file(), "more than 4 dimensions"),
        ("an endless shape", Writer::new().tensor("t", 0, &[1 << 32, 1 << 32], 0).file(), "tensor \"t\" has a shape that F32 cannot have"),
        ("endless data", Writer::new().tensor("t", 0, &[1 << 62], 0).file(), "tensor \"t\" has a shape that F32 cannot have"),
        ("half a block", Writer::new().tensor("t", 12, &[128, 2], 144).file(), "tensor \"t\" has a shape that Q4_K cannot have"),
        (
            "overlapping tensors",
            Writer::new().tensor("t", 0, &[64], 256).tensor_at("u", 0, &[4], 32).file(),
            "tensor \"u\" begins at 32 of the data, and should at 256",
        ),
        (
            "a hole",
            Writer::new().tensor("t", 0, &[4], 16).tensor_at("u", 0, &[4], 64).file(),
            "tensor \"u\" begins at 64 of the data, and should at 32",
        ),
    ];
    for (what, bytes, expected) in table {
        let error = read(bytes).map(|_| ()).expect_err(what);
        assert!(error.to_string().contains(expected), "{what}: {error}");
    }
}

/// The file that keeps a reader which trusts it busy for minutes.
#[test]
fn a_file_of_69_bytes_that_announces_fifty_million_values_is_an_error_before_the_first() {
    let bytes = Writer::new().list("tokenizer.ggml.tokens", 8, 50_000_000, b"").header();
    assert_eq!(bytes.len(), 69);
    let error = read(bytes).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("50000000 values"), "{error}");
}

#[test]
fn every_cut_through_a_header_is_an_error() {
    let whole = llama(Writer::new()).header();
    for length in 0..whole.len() {
        assert!(read(whole[..length].to_vec()).is_err(), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn a_file_without_its_last_bytes_is_a_finding_that_names_the_tensor() {
    let dir = tempfile::tempdir().unwrap();
    let whole = llama(Writer::new()).file();
    write(dir.path(), "cut.gguf", &whole[..whole.len() - 1]);
    write(dir.path(), "empty.gguf", b"");
    let model = read_path(dir.path()).unwrap();
    let size = whole.len();
    assert_eq!(
        findings(&model),
        [
            format!("truncated-weights cut.gguf: tensor \"output_norm.weight\" ends at byte {size}, the file has {}", size - 1),
            "truncated-weights empty.gguf: the file is empty".to_owned(),
        ]
    );
}

#[test]
fn a_pointer_of_git_lfs_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.gguf", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n");
    assert_eq!(findings(&read_path(dir.path()).unwrap()), ["lfs-pointer net.gguf: a Git LFS pointer, not the weights"]);
}

#[test]
fn an_unknown_type_of_tensor_is_told_and_does_not_hide_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = Writer::new().tensor("t", 99, &[4], 4).tensor_at("u", 0, &[4], 777).file();
    write(dir.path(), "net.gguf", &bytes);
    let model = read_path(dir.path()).unwrap();
    assert_eq!(model.facts.get("parameter-types"), Some("F32 4, type-99 4"));
    assert!(model.notes.iter().any(|note| note.contains("type-99")), "{:?}", model.notes);
}

fn part(number: u32, count: u32) -> Vec<u8> {
    let writer = Writer::new().number("split.no", number - 1).number("split.count", count);
    let writer = if number == 1 { writer.text("general.architecture", "llama") } else { writer };
    writer.tensor(&format!("t{number}"), 0, &[8], 32).file()
}

#[test]
fn the_parts_of_a_model_are_one_model_and_a_missing_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for number in [1, 3] {
        write(dir.path(), &format!("net-0000{number}-of-00004.gguf"), &part(number, 4));
    }
    let model = read_path(dir.path()).unwrap();
    assert_eq!(model.mains, ["net-00001-of-00004.gguf"]);
    assert_eq!(model.facts.get("parameters"), Some("16"));
    assert_eq!(
        findings(&model),
        [2, 4].map(|number| format!("missing-shard net-00001-of-00004.gguf: \"net-0000{number}-of-00004.gguf\" is not there"))
    );
    assert!(model.notes.iter().any(|note| note.contains("one file only")), "{:?}", model.notes);
}

#[test]
fn one_part_brings_the_others_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for number in [1, 2] {
        write(dir.path(), &format!("net-0000{number}-of-00002.gguf"), &part(number, 2));
    }
    write(dir.path(), "other.gguf", &llama(Writer::new()).file());
    let model = read_path(&dir.path().join("net-00001-of-00002.gguf")).unwrap();
    assert_eq!(model.files.iter().map(|file| &file.path).collect::<Vec<_>>(), ["net-00001-of-00002.gguf", "net-00002-of-00002.gguf"]);
    assert_eq!(model.facts.get("parameters"), Some("16"));
}

#[test]
fn a_part_under_another_name_is_told() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.gguf", &part(1, 2));
    let model = read_path(dir.path()).unwrap();
    assert!(model.notes.iter().any(|note| note.contains("-00001-of-00002.gguf")), "{:?}", model.notes);
}

#[test]
fn a_projector_goes_with_the_model_and_several_models_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "mmproj.gguf", &Writer::new().text("general.architecture", "clip").file());
    write(dir.path(), "net.gguf", &llama(Writer::new()).file());
    assert_eq!(read_path(dir.path()).unwrap().mains, ["net.gguf"]);
    write(dir.path(), "other.gguf", &llama(Writer::new()).file());
    let model = read_path(dir.path()).unwrap();
    assert_eq!(model.facts.get("models"), Some("net.gguf, other.gguf"));
}

#[test]
fn a_broken_file_is_refused_with_its_name_and_a_word_of_advice() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.gguf", b"GGUF\x03\0\0\0");
    let error = read_path(dir.path()).unwrap_err();
    assert!(error.to_string().contains("net.gguf as GGUF"), "{error}");
    assert!(error.hint().unwrap().contains("incomplete"));
}
