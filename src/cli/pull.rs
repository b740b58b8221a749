//! `modelcar pull`, and the copying that `push` shares.

use std::path::PathBuf;

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use crate::image::copy;
use crate::oci::{Location, ManifestRef};
use crate::report::{Ui, timed, units};
use crate::store::Access;
use crate::trust::merge_signatures;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image: REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REF", value_parser = options::location)]
    source: Location,
    /// The OCI layout directory; it is made where it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.source, &self.registry, Access::Read)?;
        let name = self.source.reference().map_or_else(|| found.manifest.digest().to_string(), |reference| reference.to_string());
        let target = Location::Layout { dir: layout_dir(&self.dir), image: Some(ManifestRef::Tag(name)) };
        copy(ui, &found, &target, &self.registry, "pull")
    }
}

/// `oci:DIR` is as good as `DIR` where only a directory can be meant.
fn layout_dir(dir: &std::path::Path) -> PathBuf {
    dir.to_str().and_then(|text| text.strip_prefix("oci:")).map_or_else(|| dir.to_owned(), PathBuf::from)
}

/// Copies an image that was found, with its signatures, and prints where it is now.
pub(super) fn copy(ui: &Ui, found: &Found, target: &Location, registry: &RegistryArgs, verb: &str) -> Result<(), CliError> {
    let Some(name) = target.manifest_ref() else {
        return Err(CliError::usage(format!("`{target}` has no tag"), format!("write it with one, such as {target}:v1")));
    };
    let store = registry.open(target, Access::Write)?;
    let (copied, time) = timed(|| copy::copy(&found.store, &found.manifest, store.as_ref(), &[name], merge_signatures, &ui.watch()))?;
    let companions = match copied.companions {
        0 => String::new(),
        count => format!(", with {}", units::count(count, "signature or other companion")),
    };
    let sent = format!("{} ({} sent){companions} to {target}", units::bytes(copied.bytes()), units::bytes(copied.sent_bytes()));
    ui.step(verb, sent, time);
    ui.data(target.at(found.manifest.digest()))?;
    Ok(())
}
