//! What we read of safetensors files, GGUF files and Hugging Face folders is what the libraries that define them wrote and read.

use std::path::{Path, PathBuf};
use std::process::Command;

use modelcar::model::{self, Model, ReadOptions};
use serde_json::Value;

use crate::support;

/// Models written by the libraries, and what those read back; none without the peers.
fn samples() -> Option<(tempfile::TempDir, Vec<Value>)> {
    let python = support::need_python()?;
    let modules = Command::new(&python).args(["-c", "import gguf, numpy, safetensors"]).output();
    if !modules.is_ok_and(|run| run.status.success()) {
        return support::skip("Python's gguf or safetensors");
    }
    let dir = support::temp_dir();
    let script = support::repo_root().join("tests/peers/llm_samples.py");
    let told = support::stdout_of(Command::new(python).arg(script).arg(dir.path()));
    Some((dir, told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()))
}

fn read(path: &Path) -> Model {
    model::read(path, &ReadOptions::default()).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()))
}

fn path_of(sample: &Value) -> PathBuf {
    sample["path"].as_str().unwrap().into()
}

#[test]
fn every_fact_is_the_one_that_the_library_tells() {
    let Some((_dir, samples)) = samples() else { return };
    assert_eq!(samples.len(), 5);
    for sample in &samples {
        let model = read(&path_of(sample));
        assert_eq!(model.format, sample["format"], "{}", sample["path"]);
        assert_eq!(model.files.len() as u64, sample["files"], "{}", sample["path"]);
        assert!(model.findings.is_empty(), "{:?}", model.findings);
        for (key, expected) in sample["facts"].as_object().unwrap() {
            assert_eq!(model.facts.get(key), expected.as_str(), "{key} of {}", sample["path"]);
        }
    }
}

/// The sizes of blocks, the alignment and the offsets are right when the last byte is missed and no byte is.
#[test]
fn a_file_that_lost_its_last_byte_is_found_out() {
    let Some((_dir, samples)) = samples() else { return };
    for sample in samples.iter().filter(|sample| sample["files"] == 1) {
        let path = path_of(sample);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let size = file.metadata().unwrap().len();
        // gguf pads the data of the last tensor, too
        let lost = if sample["format"] == "gguf" { 32 } else { 1 };
        file.set_len(size - lost).unwrap();
        let findings = read(&path).findings;
        assert_eq!(findings.iter().map(|finding| finding.rule.id).collect::<Vec<_>>(), ["truncated-weights"], "{}", path.display());
    }
}

#[test]
fn a_part_that_was_removed_is_named() {
    let Some((_dir, samples)) = samples() else { return };
    for (sample, part) in [("sharded", "model-00002-of-00003.safetensors"), ("split", "tiny-00003-of-00004.gguf")] {
        let path = samples.iter().map(path_of).find(|path| path.to_string_lossy().contains(sample)).unwrap();
        let folder = if path.is_dir() { path } else { path.parent().unwrap().to_owned() };
        std::fs::remove_file(folder.join(part)).unwrap();
        let findings = read(&folder).findings;
        assert!(findings.iter().any(|finding| finding.rule.id == "missing-shard" && finding.what.contains(part)), "{findings:?}");
    }
}

#[test]
fn a_folder_reads_well_on_the_screen() {
    let Some((_dir, samples)) = samples() else { return };
    let home = support::temp_dir();
    let shown = support::stdout_of(support::modelcar(home.path()).arg("inspect").arg(path_of(&samples[0])));
    for line in
        ["format             huggingface", "architecture       LlamaForCausalLM", "context length     4096", "layout             vllm"]
    {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

/// The seeds of the fuzz targets: most of them are hostile.
#[test]
fn every_seed_of_the_fuzz_targets_is_answered_within_a_second() {
    use modelcar::model::formats::{gguf::GgufFile, huggingface::Index, json::Outline, safetensors::Header};
    use std::io::Cursor;

    let mut seeds = 0;
    for target in ["gguf", "safetensors", "huggingface"] {
        for entry in std::fs::read_dir(support::repo_root().join("fuzz/corpus").join(target)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let start = std::time::Instant::now();
            match (target, bytes.split_first()) {
                ("gguf", _) => drop(GgufFile::read(Cursor::new(bytes))),
                ("safetensors", _) => drop(Header::read(Cursor::new(bytes))),
                (_, Some((b'c', config))) => drop(Outline::parse(config.to_vec())),
                (_, Some((b'i', index))) => drop(Index::read(index, index.len() as u64, |_, _| true)),
                (_, Some((_, card))) => drop(model::card::Card::parse(&String::from_utf8_lossy(card)).words("license")),
                (_, None) => {}
            }
            assert!(start.elapsed().as_secs() < 1, "{}: {:?}", path.display(), start.elapsed());
            seeds += 1;
        }
    }
    assert!(seeds >= 30, "{seeds}");
}
