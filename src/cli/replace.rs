//! `modelcar replace`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::built::{BuildView, Chosen, summary};
use super::check::{self, Wanted};
use super::destination::{self, Destination};
use super::gate::AllowArgs;
use super::options::{self, Format, RegistryArgs};
use super::resolve::Found;
use super::signing::SigningArgs;
use super::tekton::TektonArgs;
use super::{CliError, proving, sign, stored};
use crate::image::replace::{Change, Changed, Replacement};
use crate::image::transfer::{Known, Previous};
use crate::image::{Build, Built, Transfer};
use crate::model::ModelFile;
use crate::model::lint::Target;
use crate::oci::{Location, Reference};
use crate::report::{Ui, timed};
use crate::store::{Access, Store};
use crate::trust::{Scope, Signer};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image, made by modelcar with plain layers
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// A file of the image, by its path below /models, and the one to put in its place; may be repeated
    #[arg(value_name = "PATH=FILE", value_parser = swap)]
    replace: Vec<(String, PathBuf)>,
    /// A file that the image does not have yet; may be repeated
    #[arg(long, value_name = "PATH=FILE", value_parser = swap)]
    add: Vec<(String, PathBuf)>,
    /// A file of the image to leave out; may be repeated
    #[arg(long, value_name = "PATH", value_parser = below_models)]
    remove: Vec<String>,
    /// The new image's name: REGISTRY/REPOSITORY:TAG, oci:DIR:NAME or oci-archive:FILE:NAME; may be repeated
    #[arg(short, long, value_name = "REF", value_parser = options::location, required = true)]
    tag: Vec<Location>,
    /// Only tell which image it would be; write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    allow: AllowArgs,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let results = self.tekton.of("replace")?;
        let destination = destination::decide(&self.tag, None, matches!(self.tag[0], Location::Registry(_)), "model")?;
        let changes = self.changes()?;
        let signer = self.signing.optional_signer(&destination.location, &self.registry, ui)?;
        let found = Found::at(&self.image, &self.registry, Access::Read)?;
        let name = Self::repository(&found.location);
        let ((build, known, chosen), time) = timed(|| self.plan(&found, name.as_ref(), &changes, ui))?;
        ui.step("read", format!("{}, {}", found.location, self.told()), time);
        check::before(ui, &build, &Wanted::All)?;
        let transfer = of(known, name);
        let built = if self.dry_run {
            let (built, time) = timed(|| build.dry_run(&transfer, &ui.watch()))?;
            ui.step("replace", format!("{}, nothing written; it would be {}", summary(&built), destination.location), time);
            built
        } else {
            let made = self.make(ui, &build, &transfer, &destination)?;
            results.write(ui, &stored::stored(&destination.location, made.0.index())?)?;
            self.sign(ui, &made, &destination, signer.as_ref())?;
            made.0
        };
        self.print(ui, &built, &destination, chosen)
    }

    /// What becomes of which path; one path, one change.
    fn changes(&self) -> Result<BTreeMap<String, Change>, CliError> {
        let mut changes = BTreeMap::new();
        let swaps = self.replace.iter().map(|swap| (swap, Change::Replace as fn(ModelFile) -> Change));
        for ((path, file), change) in swaps.chain(self.add.iter().map(|add| (add, Change::Add as fn(ModelFile) -> Change))) {
            let on_disk = ModelFile::on_disk(path.clone(), file);
            let file = on_disk.map_err(|source| CliError::Reading { path: file.display().to_string(), source })?;
            once(changes.insert(path.clone(), change(file)).is_none(), path)?;
        }
        for path in &self.remove {
            once(changes.insert(path.clone(), Change::Remove).is_none(), path)?;
        }
        if changes.is_empty() {
            return Err(CliError::usage("no file is named", "write PATH=FILE, such as 1/model.onnx=new.onnx"));
        }
        Ok(changes)
    }

    fn plan(
        &self,
        found: &Found,
        name: Option<&Reference>,
        changes: &BTreeMap<String, Change>,
        ui: &Ui,
    ) -> Result<(Build, Known, Chosen), CliError> {
        let store: Arc<dyn Store> = found.store.clone();
        let replacement = Replacement::new(&store, name, &found.manifest, changes)?;
        let shown = self.image.to_string();
        let changed = replacement.model(Path::new(&shown))?;
        let waived = self.pass(ui, &changed)?;
        let chosen = Chosen { format: changed.model.format, runtime: replacement.runtime(), args: Vec::new(), allowed: waived.clone() };
        let (build, known) = replacement.plan(Path::new(&shown), &changed, &waived)?;
        Ok((build, known, chosen))
    }

    fn pass(&self, ui: &Ui, changed: &Changed) -> Result<Vec<&'static str>, CliError> {
        let names = self.tag.iter().filter_map(Location::reference).collect();
        self.allow.pass(ui, &changed.model, &changed.layout, &Target { names, ..Target::default() })
    }

    /// The repository that has the image's layers.
    fn repository(location: &Location) -> Option<Reference> {
        match location {
            Location::Registry(reference) => Some(reference.clone()),
            Location::Layout { .. } | Location::Archive { .. } => None,
        }
    }

    fn told(&self) -> String {
        let counts = [(self.replace.len(), "replaced"), (self.add.len(), "added"), (self.remove.len(), "removed")];
        let told: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        told.join(", ")
    }

    fn make(&self, ui: &Ui, build: &Build, transfer: &Transfer, destination: &Destination) -> Result<(Built, Arc<dyn Store>), CliError> {
        let store: Arc<dyn Store> = self.registry.open(&destination.location, Access::Write)?.into();
        let (built, time) = timed(|| build.run(store.as_ref(), &destination.names, transfer, &ui.watch()))?;
        ui.step("replace", format!("{}, stored as {}", summary(&built), destination.location), time);
        Ok((built, store))
    }

    /// Signatures speak for one digest, so the old image's do not come along.
    fn sign(&self, ui: &Ui, made: &(Built, Arc<dyn Store>), destination: &Destination, signer: Option<&Signer>) -> Result<(), CliError> {
        let found = Found { location: destination.location.clone(), store: made.1.clone(), manifest: made.0.index().clone() };
        let Some(signer) = signer else {
            ui.note("signatures of the old image do not speak for the new one: add `--key cosign.key`, or run `modelcar sign`");
            return Ok(());
        };
        let mut identities = Vec::new();
        for tag in &self.tag {
            let more = self.signing.identities(tag)?;
            identities.extend(more.into_iter().filter(|name| !identities.contains(name)).collect::<Vec<_>>());
        }
        let signed = timed(|| sign::sign_found(&found, &identities, signer, Scope::All));
        let (report, time) = signed.map_err(|error| proving::unsigned(&found, error))?;
        report.warnings.iter().for_each(|warning| ui.warn(warning));
        ui.step("sign", sign::summary(&report), time);
        Ok(())
    }

    fn print(&self, ui: &Ui, built: &Built, destination: &Destination, chosen: Chosen) -> Result<(), CliError> {
        match self.format {
            Format::Text => ui.data(destination.location.at(built.index().digest()))?,
            Format::Json => ui.data(serde_json::to_string_pretty(&BuildView::of(built, destination, chosen))?)?,
        }
        Ok(())
    }
}

/// What is taken over lies in the old image's repository; of the new files nothing is known there.
fn of(known: Known, name: Option<Reference>) -> Transfer {
    let digests = known.layers.values().map(|layer| layer.blob.digest);
    let origins = name.map(|name| digests.map(|digest| (digest, name.clone())).collect()).unwrap_or_default();
    Transfer { known, origins, previous: Previous::Unknown, ..Transfer::default() }
}

fn once(is_first: bool, path: &str) -> Result<(), CliError> {
    let twice = || CliError::usage(format!("`{path}` is changed twice"), "say once what becomes of it");
    is_first.then_some(()).ok_or_else(twice)
}

/// `PATH=FILE`.
fn swap(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((path, file)) if !file.is_empty() => Ok((below_models(path)?, PathBuf::from(file))),
        _ => Err("expected PATH=FILE".to_owned()),
    }
}

/// A path in the image, below `/models` whether that is written or not.
fn below_models(text: &str) -> Result<String, String> {
    let path = text.strip_prefix("/models/").unwrap_or(text);
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with(".wh.") && !part.contains(char::is_control);
    if !path.split('/').all(is_plain) {
        return Err("expected a path below /models, such as 1/model.onnx".to_owned());
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_is_a_path_in_the_image_and_a_file() {
        for (text, expected) in [
            ("1/model.onnx=new.onnx", Some(("1/model.onnx", "new.onnx"))),
            ("/models/1/model.onnx=a=b", Some(("1/model.onnx", "a=b"))),
            ("model.onnx", None),
            ("model.onnx=", None),
            ("../x=y", None),
            ("/etc/passwd=y", None),
            ("a//b=y", None),
            ("=y", None),
            (".wh.a=y", None),
        ] {
            let read = swap(text).ok();
            assert_eq!(read.as_ref().map(|(path, file)| (path.as_str(), file.to_str().unwrap())), expected, "{text}");
        }
    }
}
