//! Files that were made to hurt a reader: each is answered soon, in little memory, and never with a crash.
//!
//! They are the seeds of the fuzz targets, `fuzz/corpus/TARGET/FILE`, and go through the whole program as a user's model would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::usage::watch;
use crate::support::{clean_command, need, repo_root, temp_dir};

const MIB: u64 = 1 << 20;
/// Of processor time, in seconds: a reader that needs more is killed by the kernel. Twice what a release build is allowed.
const CPU_SECONDS: &str = "2";

#[test]
fn every_hostile_file_is_answered_soon_and_in_little_memory() {
    let Some(prlimit) = need("prlimit") else { return };
    let home = temp_dir();
    let seeds = seeds();
    assert!(seeds.len() > 40, "the corpus was not found whole: {}", seeds.len());
    let troubles: Vec<String> = seeds.iter().filter_map(|seed| trouble(&prlimit, home.path(), seed)).collect();
    assert!(troubles.is_empty(), "\n{}", troubles.join("\n"));
}

fn seeds() -> Vec<PathBuf> {
    let corpus = repo_root().join("fuzz/corpus");
    let files = walkdir::WalkDir::new(corpus).sort_by_file_name().into_iter().map(|entry| entry.unwrap());
    files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// What is wrong with the answer to one file, if anything.
fn trouble(prlimit: &Path, home: &Path, seed: &Path) -> Option<String> {
    let name = seed.strip_prefix(repo_root()).unwrap().display();
    let model = home.join("model");
    let _ = fs::remove_dir_all(&model);
    fs::create_dir(&model).unwrap();
    fs::copy(seed, model.join(seed.file_name().unwrap())).unwrap();
    let mut command: Command = clean_command(prlimit, home);
    command.arg(format!("--cpu={CPU_SECONDS}")).arg(env!("CARGO_BIN_EXE_modelcar")).arg("inspect").arg(&model);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let usage = watch(&mut child);
    let status = child.wait().unwrap();
    match status.code() {
        None => Some(format!("{name}: {status}")),
        Some(code) if code > 5 => Some(format!("{name}: exit code {code}")),
        Some(_) if usage.peak_memory > 64 * MIB => Some(format!("{name}: {} MiB", usage.peak_memory / MIB)),
        Some(_) => None,
    }
}
