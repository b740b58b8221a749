//! Decides for every ONNX file of a model, and puts the rewritten ones in the place of the ones on disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::super::{OnnxError, OnnxModel, beside, is_onnx};
use super::{OnnxExternal, Outcome, Part, Plan, plan, size_text};
use crate::model::facts::cut_list;
use crate::model::lint::rules::EXTERNAL_DATA;
use crate::model::{Finding, Model, ModelError, ModelFile, Piece};

/// Data files that are named in a message.
const SHOWN: usize = 5;

/// Inlines or keeps the external data of every ONNX file, as wished. A data file leaves the model when every ONNX file that names it
/// has its data inside. `root` is where the model is for a person.
///
/// # Errors
/// [`ModelError::NotInlined`] where inlining was demanded and is not possible.
pub(in crate::model) fn settle(model: &mut Model, root: &Path, wish: OnnxExternal) -> Result<(), ModelError> {
    let mut settling = Settling { files: std::mem::take(&mut model.files), wish, ..Settling::default() };
    for index in 0..settling.files.len() {
        if !is_onnx(&settling.files[index].path) {
            continue;
        }
        let file = settling.files[index].clone();
        match settling.file(index, &file, root) {
            Err(ModelError::Unreadable { source, .. }) if !model.mains.contains(&file.path) => {
                tracing::debug!("{} stays as it is, no server is told to load it: {source}", file.path);
            }
            result => result?,
        }
    }
    settling.finish(model);
    Ok(())
}

#[derive(Default)]
struct Settling {
    files: Vec<ModelFile>,
    wish: OnnxExternal,
    rewritten: Vec<(usize, ModelFile)>,
    /// Data files whose data are inside now, for some ONNX file.
    inlined: BTreeSet<String>,
    /// Data files that some ONNX file still reads.
    needed: BTreeSet<String>,
    findings: Vec<Finding>,
    notes: Vec<String>,
}

impl Settling {
    /// One ONNX file, at this index.
    fn file(&mut self, index: usize, file: &ModelFile, root: &Path) -> Result<(), ModelError> {
        let shown = root.join(&file.path);
        let unreadable = |error: OnnxError| match error {
            OnnxError::Io { source, .. } => ModelError::io("read", &shown)(source),
            error => ModelError::Unreadable { path: shown.clone(), format: "ONNX", hint: error.hint(), source: error.into() },
        };
        let mut input = file.open_to_seek().map_err(ModelError::io("read", &shown))?;
        let model = OnnxModel::read(&mut input).map_err(unreadable)?;
        if model.external.is_empty() {
            return Ok(());
        }
        let data = self.data_files(&file.path, &model).map_err(unreadable)?;
        let outcome = plan(input, &model).map_err(unreadable)?;
        match (self.wish, outcome) {
            (OnnxExternal::Keep, _) => self.keep(file, &data, "as asked for"),
            (_, Outcome::Inlined(plan)) => self.inline(index, file, &data, plan),
            (OnnxExternal::Auto, Outcome::Kept(why)) => self.keep(file, &data, &why.to_string()),
            (OnnxExternal::Inline, Outcome::Kept(source)) => return Err(ModelError::NotInlined { path: shown, source }),
        }
        Ok(())
    }

    /// The files that a model names, in the order in which its plan counts them.
    fn data_files(&self, path: &str, model: &OnnxModel) -> Result<Vec<Arc<ModelFile>>, OnnxError> {
        let find = |location: &str| {
            let place = beside(path, location);
            let found = self.files.binary_search_by(|file| file.path.cmp(&place)).ok().map(|index| &self.files[index]);
            // None is an error here, so that no file is left out of the list.
            model.external[location].check_size(location, found.map(|file| file.size))?;
            Ok(found.cloned().map(Arc::new))
        };
        model.places().into_iter().filter_map(|location| find(location).transpose()).collect()
    }

    fn inline(&mut self, index: usize, file: &ModelFile, data: &[Arc<ModelFile>], plan: Plan) {
        let tensors = plan.tensors;
        self.notes.push(format!(
            "inlined {tensors} external tensor{} ({}) of {}: onnxruntime from 1.24 and most OpenVINO versions cannot load them through \
             KServe's modelcar link",
            if tensors == 1 { "" } else { "s" },
            size_text(plan.data_bytes),
            file.path,
        ));
        self.inlined.extend(data.iter().map(|file| file.path.clone()));
        self.rewritten.push((index, rewritten(file, data, plan)));
    }

    fn keep(&mut self, file: &ModelFile, data: &[Arc<ModelFile>], why: &str) {
        let names = cut_list(data.iter().map(|file| &file.path), SHOWN);
        let what = format!("external data stay in {names}: {why}");
        self.findings.push(Finding::at(&EXTERNAL_DATA, &file.path, what));
        self.needed.extend(data.iter().map(|file| file.path.clone()));
    }

    fn finish(mut self, model: &mut Model) {
        for (index, file) in self.rewritten {
            self.files[index] = file;
        }
        let gone = |file: &ModelFile| {
            let named = self.inlined.contains(&file.path) && !self.needed.contains(&file.path);
            named && !is_onnx(&file.path) && !model.mains.contains(&file.path)
        };
        self.files.retain(|file| !gone(file));
        if !self.inlined.is_empty() && self.needed.is_empty() {
            model.facts.amend("external-data", "inlined in the image");
        }
        model.files = self.files;
        model.findings.extend(self.findings);
        model.notes.extend(self.notes);
    }
}

fn rewritten(file: &ModelFile, data: &[Arc<ModelFile>], plan: Plan) -> ModelFile {
    let model = Arc::new(file.clone());
    let piece = |part| match part {
        Part::Bytes(bytes) => Piece::Bytes(bytes),
        Part::Model(range) => Piece::Range { file: model.clone(), offset: range.start, length: range.end - range.start },
        Part::Data { file, offset, length } => Piece::Range { file: data[file].clone(), offset, length },
    };
    let pieces = plan.parts.into_iter().map(piece).collect();
    ModelFile { executable: file.executable, ..ModelFile::of_pieces(file.path.clone(), pieces) }
}
