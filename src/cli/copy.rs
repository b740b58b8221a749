//! `modelcar copy`, and the copying that `push` and `pull` share.

use super::options::{self, Format, RegistryArgs};
use super::parallel::ParallelArgs;
use super::resolve::Found;
use super::tekton::TektonArgs;
use super::{CliError, stored};
use crate::image::copy::{self, Companions, Original};
use crate::oci::{Location, ManifestRef};
use crate::report::{Ui, copy as report, timed, units};
use crate::store::Access;
use crate::trust::merge_signatures;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image: in a registry, oci:DIR:NAME or oci-archive:FILE:NAME
    #[arg(value_name = "SRC", value_parser = options::location)]
    source: Location,
    /// Where it goes; without a tag or name it keeps its own
    #[arg(value_name = "DST", value_parser = options::location)]
    target: Location,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    how: CopyArgs,
}

/// What `copy`, `push` and `pull` have in common.
#[derive(Debug, clap::Args)]
pub(super) struct CopyArgs {
    /// Leave signatures, attestations and all else that speaks about the image where it is
    #[arg(long)]
    no_referrers: bool,
    #[command(flatten)]
    parallel: ParallelArgs,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

impl CopyArgs {
    fn original<'a>(&self, found: &'a Found) -> Original<'a> {
        let repository = match &found.location {
            Location::Registry(reference) => Some(reference.clone()),
            Location::Layout { .. } | Location::Archive { .. } => None,
        };
        let companions = if self.no_referrers { Companions::LeftBehind } else { Companions::Along };
        Original { store: &found.store, repository, manifest: &found.manifest, companions }
    }
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let results = self.tekton.of("copy")?;
        let found = Found::at(&self.source, &self.how.registry, Access::Read)?;
        let target = named(&self.target, &found.location);
        copy(ui, &found, &target, &self.how, &Wording { verb: "copy", format: self.format })?;
        results.write(ui, &stored::stored(&target, &found.manifest)?)
    }
}

/// A target without a name takes the source's: in a layout the whole name, in a registry the tag.
fn named(target: &Location, source: &Location) -> Location {
    let reference = source.reference();
    let name = match (target, source.manifest_ref()) {
        _ if target.manifest_ref().is_some() => None,
        (Location::Registry(_), Some(ManifestRef::Tag(name))) => {
            Some(reference.as_ref().and_then(|reference| reference.tag()).map_or(name, str::to_owned))
        }
        (Location::Registry(_), _) | (_, None) => None,
        (_, Some(at)) => Some(reference.map_or_else(|| at.to_string(), |reference| reference.to_string())),
    };
    name.map_or_else(|| target.clone(), |name| target.named(&name))
}

/// How a copy is told.
pub(super) struct Wording {
    /// What the user calls it.
    pub(super) verb: &'static str,
    /// For whom.
    pub(super) format: Format,
}

/// Copies an image that was found, with all that speaks about it, and prints where it is now and what came along.
pub(super) fn copy(ui: &Ui, found: &Found, target: &Location, how: &CopyArgs, wording: &Wording) -> Result<(), CliError> {
    let Some(name) = target.manifest_ref() else {
        return Err(CliError::usage(format!("`{target}` has no tag"), format!("write it with one, such as {target}:v1")));
    };
    let store = how.registry.open(target, Access::Write)?;
    let original = how.original(found);
    let transfer = how.parallel.transfer();
    let (copied, time) = timed(|| copy::copy(&original, store.as_ref(), &[name], merge_signatures, &transfer, &ui.watch()))?;
    let line =
        format!("{} ({} copied){} to {target}", units::bytes(copied.bytes()), units::bytes(copied.sent_bytes()), report::company(&copied));
    ui.step(wording.verb, line, time);
    let pinned = target.at(found.manifest.digest());
    match wording.format {
        Format::Text => ui.data(pinned)?,
        Format::Json => ui.data(report::json(&pinned.to_string(), &copied)?)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    #[test]
    fn a_target_without_a_name_takes_the_sources() {
        let digest = Digest::of(b"");
        let pinned = format!("q.io/m/iris@{digest}");
        let table = [
            ("q.io/m/iris:v1", "r.io/n/iris", "r.io/n/iris:v1"),
            ("q.io/m/iris:v1", "r.io/n/iris:v2", "r.io/n/iris:v2"),
            ("q.io/m/iris:v1", "oci:dir", "oci:dir:q.io/m/iris:v1"),
            ("oci:dir:q.io/m/iris:v1", "r.io/n/iris", "r.io/n/iris:v1"),
            ("oci:dir:v1", "r.io/n/iris", "r.io/n/iris:v1"),
            ("oci:dir:v1", "oci-archive:m.tar", "oci-archive:m.tar:v1"),
            (&pinned, "r.io/n/iris", "r.io/n/iris"),
        ];
        for (source, target, expected) in table {
            let named = named(&target.parse().unwrap(), &source.parse().unwrap());
            assert_eq!(named.to_string(), expected, "{source} to {target}");
        }
    }
}
