//! PyTorch: TorchScript archives, which a server can run, and saved weights, which need the code that made them.
//!
//! Since 1.6 both are zip archives with `data.pkl` and an entry for each storage; TorchScript has its code and `constants.pkl` beside it.
//! Before, `torch.save` wrote five pickles in a row. The weights themselves are never read.

mod archive;
mod code;
#[cfg(test)]
pub(in crate::model) mod testing;

pub use archive::ArchiveError;
pub(in crate::model) use archive::{Archive, Entry, findings, is_named_as_pickle};

use std::collections::BTreeMap;

use super::files;
use super::pickle::{self, Carrier, Defect, PickleError, Scan};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::{Facts, ModelError, ModelFile, ReadSeek, Tree};

/// TorchScript: `*.pt` with code inside.
pub const TORCHSCRIPT: Format = Format {
    name: "torchscript",
    detect: |tree| kinds(tree).any(|(_, kind)| kind == Kind::TorchScript),
    read: |tree| read(tree, Kind::TorchScript),
    servings: &[Serving { runtime: Runtime::Triton, place: Place::Repository, name: ServedName::File("model.pt") }],
};

/// Anything else that `torch.save` wrote: `*.pt`, `*.pth`, `*.bin`, `*.ckpt`.
pub const PYTORCH: Format = Format {
    name: "pytorch",
    detect: |tree| kinds(tree).any(|(_, kind)| kind == Kind::Saved),
    read: |tree| read(tree, Kind::Saved),
    servings: &[],
};

const ENDINGS: [&str; 7] = ["pt", "pth", "bin", "ckpt", "jit", "ts", "torchscript"];
/// Files that are opened to see what they are.
const MAX_LOOKED_AT: usize = 256;
/// The first import of a plain pickle stands at its beginning.
const DETECTED: u64 = 64 << 10;
const MAX_VERSION: u64 = 64;
const SHOWN: usize = 16;

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    TorchScript,
    Saved,
}

fn kinds(tree: &Tree) -> impl Iterator<Item = (&ModelFile, Kind)> {
    let named = tree.files().iter().filter(|file| has_ending(&file.path)).take(MAX_LOOKED_AT);
    named.filter_map(|file| kind(file).map(|kind| (file, kind)))
}

/// Whether a name is one under which PyTorch's files go.
pub(in crate::model) fn has_ending(path: &str) -> bool {
    files::has_ending(path, &ENDINGS)
}

/// A file that cannot be read is not recognised; packing it says why.
fn kind(file: &ModelFile) -> Option<Kind> {
    let mut opened = file.open_to_seek().ok()?;
    match pickle::carrier(&mut opened).ok()? {
        Carrier::Zip => kind_of_archive(&Archive::open(opened).ok()?),
        Carrier::LegacyTorch | Carrier::Tar => Some(Kind::Saved),
        carrier @ Carrier::Plain => {
            let scan = pickle::scan_start(carrier, opened, DETECTED)?;
            scan.imports.list().iter().any(|import| import.root() == "torch").then_some(Kind::Saved)
        }
        _ => None,
    }
}

/// `torch.load` goes by `constants.pkl` too: see `_is_torchscript_zip` in its `serialization.py`.
fn kind_of_archive(archive: &Archive<'_>) -> Option<Kind> {
    if is_torchscript(archive) {
        return Some(Kind::TorchScript);
    }
    archive.ending_with("data.pkl").map(|_| Kind::Saved)
}

fn is_torchscript(archive: &Archive<'_>) -> bool {
    archive.ending_with("constants.pkl").is_some()
}

/// The pickles of an archive that whoever loads it runs. TorchScript's own are read by an unpickler in C++ that knows only tensors and the
/// classes in the archive; what is more than that is told all the same.
pub(in crate::model) fn runnable_pickles(archive: &mut Archive<'_>) -> Vec<Entry> {
    let mut entries = archive.pickles();
    if is_torchscript(archive) {
        entries.retain(|entry| !entry.scan.as_ref().is_some_and(Scan::is_all_expected));
    }
    entries
}

/// What the pickles in an archive tell, each with its entry's name; none in the place of one that cannot be looked into.
///
/// # Errors
/// [`ArchiveError`] where it is no archive, or one that is larger than any model's.
pub fn scan_archive(file: impl ReadSeek) -> Result<Vec<(String, Option<Scan>)>, ArchiveError> {
    let entries = Archive::open(file)?.pickles();
    Ok(entries.into_iter().map(|entry| (entry.name, entry.scan)).collect())
}

fn read(tree: &Tree, kind: Kind) -> Result<Reading, ModelError> {
    let files: Vec<_> = kinds(tree).filter(|(_, found)| *found == kind).map(|(file, _)| file).collect();
    let mut reading = Reading { mains: files.iter().map(|file| file.path.clone()).collect(), ..Reading::default() };
    for file in &files {
        let facts = read_one(tree, file, &mut reading)?;
        reading.facts = if files.len() == 1 { facts } else { Facts::default() };
    }
    if files.len() > 1 {
        reading.facts.add("models", "models", cut_list(reading.mains.iter(), SHOWN));
    }
    reading.notes.push(advice(kind).to_owned());
    Ok(reading)
}

fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::TorchScript => "Triton cannot tell the inputs and outputs of TorchScript: it needs a config.pbtxt that names them",
        Kind::Saved => {
            "saved weights need the code that made them, so no server loads them as they are: export to ONNX or TorchScript, pack them \
             with their code as a TorchServe archive (.mar), or save them as a Hugging Face folder with safetensors"
        }
    }
}

fn read_one(tree: &Tree, file: &ModelFile, reading: &mut Reading) -> Result<Facts, ModelError> {
    let io = |source| ModelError::io("read", tree.shown(&file.path))(source);
    let mut opened = file.open_to_seek().map_err(io)?;
    let carrier = pickle::carrier(&mut opened).map_err(io)?;
    if carrier == Carrier::Zip {
        let mut archive = Archive::open(opened).map_err(|error| unreadable(tree, file, error.into()))?;
        reading.findings.extend(findings(&file.path, &runnable_pickles(&mut archive)));
        return Ok(archive_facts(&mut archive));
    }
    match pickle::scan_carried(carrier, opened).map_err(io)? {
        Some(Scan { defect: Some(error @ PickleError { defect: Defect::Truncated, .. }), .. }) => Err(unreadable(tree, file, error.into())),
        scan => {
            reading.findings.extend(pickle::file_findings(&file.path, carrier, scan.as_ref()));
            Ok(scan.map(|scan| scan_facts(&scan)).unwrap_or_default())
        }
    }
}

fn unreadable(tree: &Tree, file: &ModelFile, source: Box<dyn std::error::Error + Send + Sync>) -> ModelError {
    let hint = Some("the file may be incomplete; copy or download it again".to_owned());
    ModelError::Unreadable { path: tree.shown(&file.path), format: "PyTorch", source, hint }
}

fn archive_facts(archive: &mut Archive<'_>) -> Facts {
    let scan = archive.ending_with("data.pkl").map(str::to_owned).and_then(|name| archive.scan_named(&name));
    let mut facts = scan.as_ref().map(scan_facts).unwrap_or_default();
    if is_torchscript(archive) {
        let class = scan.and_then(|scan| scan.roots.into_iter().next()?.class);
        code::add_facts(&mut facts, archive, class.as_deref());
    }
    for (entry, key, label) in [("version", "archive-version", "archive version"), ("byteorder", "byte-order", "byte order")] {
        let name = archive.ending_with(entry).filter(|name| !name.contains("/code/")).map(str::to_owned);
        facts.add(key, label, name.and_then(|name| archive.text(&name, MAX_VERSION)).unwrap_or_default());
    }
    facts
}

fn scan_facts(scan: &Scan) -> Facts {
    let mut facts = Facts::default();
    let class = scan.roots.iter().rev().find_map(|root| root.class.clone());
    facts.add("object", "object", class.unwrap_or_default());
    if scan.tensors.count > 0 {
        facts.add("tensors", "tensors", scan.tensors.count.to_string());
        facts.add("parameters", "parameters", scan.tensors.total().to_string());
        facts.add("parameter-types", "parameter types", types(&scan.tensors.elements));
    }
    facts
}

fn types(elements: &BTreeMap<&'static str, u64>) -> String {
    cut_list(elements.iter().map(|(name, count)| format!("{name} {count}")), SHOWN)
}

#[cfg(test)]
mod tests;
