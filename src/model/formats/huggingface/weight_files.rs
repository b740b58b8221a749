//! The weight files of a folder: which of them a server loads, and whether they are all there.

use std::collections::{BTreeMap, BTreeSet};

use super::index::{Index, Shard};
use crate::model::facts::cut_list;
use crate::model::formats::json::JsonError;
use crate::model::formats::safetensors::{Weights, is_safetensors};
use crate::model::formats::small::{has_extension, is_at_top};
use crate::model::lint::{Finding, rules};
use crate::model::{Facts, ModelError, ModelFile, Tree};

/// The index, and the file that takes its place for a small model: safetensors, then pickles. Servers look in this order.
const SAFETENSORS: (&str, &str) = ("model.safetensors.index.json", "model.safetensors");
const PICKLES: (&str, &str) = ("pytorch_model.bin.index.json", "pytorch_model.bin");

/// Findings of one kind that are told one by one.
const MAX_FINDINGS: usize = 16;
/// Numbered parts of one model that are counted.
const MAX_PARTS: u32 = 10_000;

/// What a server loads of the weights.
#[derive(Debug, Default)]
pub(super) struct WeightFiles {
    headers: Weights,
    /// The places of the files that are loaded and there.
    used: BTreeSet<String>,
    /// Where loading begins: the index, or the first file.
    pub(super) first: String,
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<String>,
}

/// Parts that the names of the others tell of: `model-00001-of-00003.safetensors`. Servers find no other way to know them without an index.
fn missing_parts(files: &[&ModelFile]) -> Vec<Finding> {
    let mut sets: BTreeMap<(&str, u32), BTreeSet<u32>> = BTreeMap::new();
    for (stem, part, parts) in files.iter().filter_map(|file| numbered(&file.path)) {
        sets.entry((stem, parts)).or_default().insert(part);
    }
    let missing = |((stem, parts), found): ((&str, u32), BTreeSet<u32>)| {
        let lacks = (1..=parts.min(MAX_PARTS)).filter(|part| !found.contains(part)).map(|part| part.to_string()).collect::<Vec<_>>();
        let what = format!("of {parts} parts there is no part {}", cut_list(lacks.iter(), MAX_FINDINGS));
        (!lacks.is_empty()).then(|| Finding::at(&rules::MISSING_SHARD, stem, what))
    };
    sets.into_iter().filter_map(missing).collect()
}

/// Stem, number and count of a numbered part.
fn numbered(path: &str) -> Option<(&str, u32, u32)> {
    let (name, _) = path.rsplit_once('.')?;
    let (rest, parts) = name.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    Some((stem, part.parse().ok()?, parts.parse().ok()?))
}

/// Whether a file's name is one of weights as transformers writes them.
pub(super) fn is_weights(path: &str) -> bool {
    is_safetensors(path) || is_pickle(path)
}

/// Whether a file lists the weights.
pub(super) fn is_index(path: &str) -> bool {
    [SAFETENSORS.0, PICKLES.0].contains(&path)
}

fn is_pickle(path: &str) -> bool {
    path.starts_with("pytorch_model") && has_extension(path, "bin")
}

impl WeightFiles {
    /// Looks at the weight files at the top of a folder.
    pub(super) fn read(tree: &Tree) -> Result<Self, ModelError> {
        let top = || tree.files().iter().filter(|file| is_at_top(&file.path));
        let safetensors: Vec<_> = top().filter(|file| is_safetensors(&file.path)).collect();
        let pickles: Vec<_> = top().filter(|file| is_pickle(&file.path)).collect();
        let mut files = Self { headers: Weights::read(tree, safetensors.iter().copied())?, ..Self::default() };
        files.findings.append(&mut files.headers.findings);
        if safetensors.is_empty() && tree.file(SAFETENSORS.0).is_none() {
            files.choose(tree, PICKLES, &pickles)?;
        } else {
            files.choose(tree, SAFETENSORS, &safetensors)?;
            files.notes.extend(pickles.first().map(|file| format!("{} is not loaded: servers take the safetensors files", file.path)));
        }
        Ok(files)
    }

    /// The files of the index; else the one file of a small model; else all.
    fn choose(&mut self, tree: &Tree, (index, single): (&str, &str), all: &[&ModelFile]) -> Result<(), ModelError> {
        if let Some(file) = tree.file(index) {
            index.clone_into(&mut self.first);
            self.follow(tree, file)?;
        } else if tree.file(single).is_some() {
            single.clone_into(&mut self.first);
            self.used.insert(single.to_owned());
        } else {
            self.first = all.first().map_or_else(String::new, |file| file.path.clone());
            self.used.extend(all.iter().map(|file| file.path.clone()));
            self.findings.extend(missing_parts(all));
        }
        let orphans = all.iter().filter(|file| !self.used.contains(&file.path)).take(MAX_FINDINGS);
        let orphan = |file: &&ModelFile| Finding::at(&rules::ORPHAN_WEIGHTS, &file.path, format!("{} does not name it", self.first));
        self.findings.extend(orphans.map(orphan).collect::<Vec<_>>());
        Ok(())
    }

    fn follow(&mut self, tree: &Tree, file: &ModelFile) -> Result<(), ModelError> {
        let index = self.index(file).map_err(|error| error.of(tree, file, super::NAME))?;
        let mut missing = Vec::new();
        for (name, shard) in &index.shards {
            match tree.file(name) {
                Some(_) => self.found(&file.path, name, shard),
                None => missing.push(name),
            }
        }
        for name in missing.iter().take(MAX_FINDINGS) {
            self.findings.push(Finding::at(&rules::MISSING_SHARD, &file.path, format!("\"{name}\" is not there")));
        }
        if let Some(more) = missing.len().checked_sub(MAX_FINDINGS).filter(|more| *more > 0) {
            self.findings.push(Finding::at(&rules::MISSING_SHARD, &file.path, format!("{more} more files are not there")));
        }
        Ok(())
    }

    fn index(&self, file: &ModelFile) -> Result<Index, JsonError> {
        let input = file.open().map_err(|source| JsonError::Io { offset: 0, source })?;
        Index::read(input, file.size, |shard, tensor| self.headers.holds(shard, tensor).unwrap_or(true))
    }

    fn found(&mut self, index: &str, name: &str, shard: &Shard) {
        self.used.insert(name.to_owned());
        if let Some(tensor) = &shard.first_missing {
            let more = if shard.missing > 1 { format!(", nor are {} more", shard.missing - 1) } else { String::new() };
            self.findings.push(Finding::at(&rules::INDEX_MISMATCH, index, format!("tensor \"{tensor}\" is not in \"{name}\"{more}")));
        }
    }

    /// Adds the facts.
    pub(super) fn tell(&self, packed: bool, facts: &mut Facts) {
        let tally = self.headers.tally(|path| self.used.contains(path));
        let integers = ["uint8", "int32", "uint32"].iter().any(|dtype| tally.elements.contains_key(*dtype));
        if packed && integers {
            tally.tell_packed(facts);
        } else {
            tally.tell(facts);
        }
        let kind = if self.used.iter().any(|path| is_pickle(path)) { " (pickle)" } else { "" };
        facts.add("weight-files", "weight files", format!("{}{kind}", cut_list(self.used.iter(), 3)));
    }
}
