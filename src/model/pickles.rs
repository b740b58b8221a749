//! Pickles that nobody expects: a `training_args.bin` in a Hugging Face folder, a tokenizer's `vocab.pkl`, an array of objects.
//!
//! Formats report those that they read. Here every other file of a model is looked at, whatever its format: by its first bytes, because a name
//! is no protection (GHSA-769v-p64c-89pr of picklescan), and by its name where the first bytes say too little.

use std::collections::BTreeSet;
use std::io::{self, Read as _};

use super::formats::Reading;
use super::formats::pickle::{self, Carrier};
use super::formats::pytorch::{self, Archive};
use super::lint::{Finding, rules};
use super::{ModelError, ModelFile, ReadSeek, Tree, tars};

/// Names that loaders take for a pickle, plain or compressed.
const ENDINGS: [&str; 9] = ["pkl", "pickle", "joblib", "p", "dill", "sav", "pt", "pth", "mar"];
/// Names that also stand for other things: a text that looks like a pickle by chance is none.
const DOUBTFUL_ENDINGS: [&str; 4] = ["bin", "ckpt", "z", "gz"];
/// How much of a compressed tar is looked at: its entries cannot be stepped over, and it may be a data set of any size.
const MAX_UNCOMPRESSED: u64 = 256 << 20;

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
    let start = pickle::start(&mut opened).map_err(io)?;
    let carrier = Carrier::of(&start);
    let inside = carrier.inside(&start);
    if carrier == Carrier::Zip {
        return Ok(archive(file, Archive::open(opened)));
    }
    if inside == Some(Carrier::Tar) || (carrier == Carrier::Tar && !has(&file.path, &ENDINGS)) {
        return tar(file, carrier, opened).map_err(io);
    }
    if !is_looked_at(&file.path, carrier, inside) {
        return Ok(Vec::new());
    }
    let scan = pickle::scan_carried(carrier, opened).map_err(io)?;
    if scan.as_ref().is_some_and(|scan| !scan.is_a_pickle()) {
        return hidden_archive(file).map_err(io);
    }
    Ok(pickle::file_findings(&file.path, carrier, scan.as_ref()))
}

fn is_looked_at(path: &str, carrier: Carrier, inside: Option<Carrier>) -> bool {
    match carrier {
        Carrier::Plain | Carrier::LegacyTorch | Carrier::Numpy => true,
        Carrier::Zlib | Carrier::Gzip if inside.is_some_and(Carrier::is_certain) => true,
        Carrier::Doubtful | Carrier::Zlib | Carrier::Gzip => has(path, &ENDINGS) || has(path, &DOUBTFUL_ENDINGS),
        Carrier::Opaque(_) => has(path, &ENDINGS) || path.rsplit_once('.').is_some_and(|(name, _)| has(name, &ENDINGS)),
        Carrier::Tar => has(path, &ENDINGS),
        Carrier::Zip | Carrier::LfsPointer => false,
    }
}

fn has(path: &str, endings: &[&str]) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

fn tar(file: &ModelFile, carrier: Carrier, opened: Box<dyn ReadSeek>) -> io::Result<Vec<Finding>> {
    if carrier == Carrier::Tar {
        return Ok(tars::findings(&file.path, tar::Archive::new(opened).entries_with_seek()?));
    }
    let stream = pickle::uncompressed(carrier, opened).take(MAX_UNCOMPRESSED);
    Ok(tars::findings(&file.path, tar::Archive::new(stream).entries()?))
}

/// `torch.jit.load` finds an archive by its end: something may stand before it.
fn hidden_archive(file: &ModelFile) -> io::Result<Vec<Finding>> {
    if !pytorch::has_ending(&file.path) {
        return Ok(Vec::new());
    }
    let opened = Archive::open(file.open_to_seek()?);
    Ok(opened.map_or_else(|_| Vec::new(), |opened| archive(file, Ok(opened))))
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
    use std::io::Write as _;

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

    /// Ways round scanners that go by names: a loader goes by the first bytes, or by the last.
    #[test]
    fn a_pickle_is_found_in_what_is_around_it() {
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(EVIL.len() as u64);
        tar.append_data(&mut header, "vocab", EVIL).unwrap();
        let tar = tar.into_inner().unwrap();
        let zip = zipped(&[("archive/data.pkl", EVIL)], Stored);
        for (name, content) in [
            ("model.dat", gzip(EVIL)),
            ("data.zip", zipped(&[("a.dat", &gzip(EVIL))], Stored)),
            ("model.nemo", tar.clone()),
            ("model.tar.gz", gzip(&tar)),
            ("net.pt", [b"something", &zip[..]].concat()),
        ] {
            let mut rules = beside(name, &content);
            rules.sort_unstable();
            assert_eq!(rules, ["dangerous-pickle", "pickle"], "{name}");
        }
    }

    #[test]
    fn what_cannot_be_looked_into_may_import_anything() {
        let deep = (0..4).fold(EVIL.to_vec(), |inner, _| zipped(&[("x.zip", &inner)], Stored));
        for (name, content) in [("a.joblib.bz2", &b"BZh91AY"[..]), ("a.pkl.xz", b"\xfd7zXZ\0\0"), ("a.zip", &deep)] {
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
            ("table.csv.bz2", b"BZh91AY"),
            ("weights.bin", b"x marks the spot"),
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
