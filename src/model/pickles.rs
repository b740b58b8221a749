//! Pickles that nobody expects: a `training_args.bin` in a Hugging Face folder, a tokenizer's `vocab.pkl`, an array of objects.
//!
//! Formats report those that they read. Here every other file of a model is looked at, whatever its format: by its first bytes, because a name
//! is no protection (GHSA-769v-p64c-89pr of picklescan), and by its name where the first bytes say too little.

use std::collections::BTreeSet;

use super::formats::Reading;
use super::formats::pickle::{self, Carrier};
use super::formats::pytorch::{self, Archive};
use super::lint::{Finding, rules};
use super::{ModelError, ModelFile, Tree};

/// Names that loaders take for a pickle, plain or compressed.
const ENDINGS: [&str; 9] = ["pkl", "pickle", "joblib", "p", "dill", "sav", "pt", "pth", "mar"];
/// Names that also stand for other things: a text that looks like a pickle by chance is none.
const DOUBTFUL_ENDINGS: [&str; 4] = ["bin", "ckpt", "z", "gz"];

/// The findings about files of which the format said nothing.
pub(super) fn findings(tree: &Tree, reading: &Reading) -> Result<Vec<Finding>, ModelError> {
    let is_pickle = |finding: &&Finding| [&rules::PICKLE, &rules::DANGEROUS_PICKLE].contains(&finding.rule);
    let known: BTreeSet<_> = reading.findings.iter().filter(is_pickle).filter_map(|finding| finding.path.as_deref()).collect();
    let files = tree.files().iter().chain(&reading.companions);
    let mut found = Vec::new();
    for file in files.filter(|file| !known.contains(file.path.as_str())) {
        found.extend(scan(tree, file)?);
    }
    Ok(found)
}

/// The findings about one file; none for what is no pickle and holds none.
pub(super) fn scan(tree: &Tree, file: &ModelFile) -> Result<Vec<Finding>, ModelError> {
    let io = |source| ModelError::io("read", tree.shown(&file.path))(source);
    let mut opened = file.open_to_seek().map_err(io)?;
    let carrier = pickle::carrier(&mut opened).map_err(io)?;
    if carrier == Carrier::Zip {
        return Ok(archive(file, Archive::open(opened)));
    }
    if !is_looked_at(&file.path, carrier) {
        return Ok(Vec::new());
    }
    let scan = pickle::scan_carried(carrier, opened).map_err(io)?;
    if scan.as_ref().is_some_and(|scan| !scan.is_a_pickle()) {
        return Ok(Vec::new());
    }
    Ok(pickle::file_findings(&file.path, carrier, scan.as_ref()))
}

fn is_looked_at(path: &str, carrier: Carrier) -> bool {
    let has =
        |endings: &[&str]| path.rsplit_once('.').is_some_and(|(_, ending)| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)));
    match carrier {
        Carrier::Plain | Carrier::LegacyTorch | Carrier::Numpy => true,
        Carrier::Doubtful | Carrier::Zlib | Carrier::Gzip => has(&ENDINGS) || has(&DOUBTFUL_ENDINGS),
        Carrier::Opaque(_) | Carrier::Tar => has(&ENDINGS),
        Carrier::Zip | Carrier::LfsPointer => false,
    }
}

/// Archives of other programs hold no pickles; one with a name of PyTorch's that cannot be read may.
fn archive(file: &ModelFile, archive: Result<Archive<'_>, pytorch::ArchiveError>) -> Vec<Finding> {
    match archive {
        Ok(mut archive) => pytorch::findings(&file.path, &pytorch::runnable_pickles(&mut archive)),
        Err(error) if pytorch::has_ending(&file.path) => {
            let what = format!("cannot be looked into, and may import anything: {error}");
            vec![Finding::at(&rules::DANGEROUS_PICKLE, &file.path, what)]
        }
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use zip::CompressionMethod::Stored;

    use super::super::formats::pytorch::testing::zipped;
    use crate::model::{ReadOptions, read};

    const EVIL: &[u8] = b"\x80\x02cos\nsystem\n.";

    /// A file of this name and content beside an ONNX model, and the rules that it breaks.
    fn beside(name: &str, content: &[u8]) -> Vec<&'static str> {
        let dir = tempfile::tempdir().unwrap();
        let onnx = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/models/iris/logreg_iris.onnx");
        fs::copy(onnx, dir.path().join("m.onnx")).unwrap();
        fs::write(dir.path().join(name), content).unwrap();
        let model = read(dir.path(), &ReadOptions::default()).unwrap();
        assert_eq!(model.format, "onnx");
        assert!(model.findings.iter().all(|finding| finding.path.as_deref() == Some(name)));
        model.findings.iter().map(|finding| finding.rule.id).collect()
    }

    #[test]
    fn a_pickle_is_found_beside_any_model_under_any_name() {
        let npz = zipped(&[("a.npy", &[b"\x93NUMPY\x01\x00\x10\0{'descr': '|O'}\n", EVIL].concat())], Stored);
        let torch = zipped(&[("archive/data.pkl", EVIL)], Stored);
        let text = &EVIL[2..];
        for (name, content) in [
            ("state.bin", EVIL),
            ("state.bin", &torch),
            ("weights.dat", EVIL),
            ("extra", &torch),
            ("vocab.pkl", text),
            ("model.ckpt", text),
            ("pytorch_model.bin", text),
            ("data.npz", &npz),
        ] {
            let mut rules = beside(name, content);
            rules.sort_unstable();
            assert_eq!(rules, ["dangerous-pickle", "pickle"], "{name}");
        }
    }

    #[test]
    fn what_is_no_pickle_is_none() {
        let docx = zipped(&[("word/document.xml", b"<xml/>"), ("image.bin", &[0; 100])], Stored);
        for (name, content) in [
            ("weights.bin", &[0_u8; 64][..]),
            ("notes.pkl", b"hello"),
            ("model.ckpt", b"some text\nmore\n"),
            ("model.safetensors", b"\x80\x02\0\0\0\0\0\0{}"),
            ("paper.docx", &docx),
            ("data.npy", b"\x93NUMPY\x01\x00\x10\0{'descr': '<f8'}\n"),
            ("lfs.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"),
            ("photo.jpg.gz", b"\x1f\x8b\x08\0"),
            ("broken.zip", b"PK\x03\x04 nothing"),
        ] {
            assert_eq!(beside(name, content), [""; 0], "{name}");
        }
    }

    #[test]
    fn an_archive_of_pytorch_that_cannot_be_read_is_a_danger() {
        assert_eq!(beside("model.pt", b"PK\x03\x04 nothing"), ["dangerous-pickle"]);
    }

    #[test]
    fn a_file_that_no_format_knows_is_looked_into_too() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mystery"), EVIL).unwrap();
        let model = read(dir.path(), &ReadOptions::default()).unwrap();
        assert_eq!((model.format, model.findings.len()), (crate::model::UNKNOWN_FORMAT, 2));
    }
}
