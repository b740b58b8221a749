//! `modelcar pull`, and the copying that `push` shares.

use std::path::PathBuf;

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use crate::image::copy;
use crate::oci::Location;
use crate::report::{Ui, timed, units};
use crate::store::Access;
use crate::trust::merge_signatures;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image: REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REF", value_parser = options::location)]
    source: Location,
    /// The OCI layout, DIR or oci:DIR:NAME; it is made where it is not there
    #[arg(value_name = "DIR")]
    target: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.source, &self.registry, Access::Read)?;
        let name = self.source.reference().map_or_else(|| found.manifest.digest().to_string(), |reference| reference.to_string());
        let target = self.target(&name)?;
        copy(ui, &found, &target, &self.registry, "pull")
    }
}

impl Args {
    /// A bare DIR is a layout; the image keeps its name there unless another is written.
    fn target(&self, name: &str) -> Result<Location, CliError> {
        let bare = || Location::Layout { dir: PathBuf::from(&self.target), image: None };
        let location = if self.target.contains(':') { self.target.parse()? } else { bare() };
        match location {
            Location::Registry(_) => Err(CliError::usage(
                format!("`{}` is a registry", self.target),
                "pull writes a layout; `modelcar push SRC REF` copies from registry to registry",
            )),
            named if named.manifest_ref().is_some() => Ok(named),
            unnamed => Ok(unnamed.named(name)),
        }
    }
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
        count => format!(", with {}", units::count(count, "companion")),
    };
    let copied = format!("{} ({} copied){companions} to {target}", units::bytes(copied.bytes()), units::bytes(copied.sent_bytes()));
    ui.step(verb, copied, time);
    ui.data(target.at(found.manifest.digest()))?;
    Ok(())
}
