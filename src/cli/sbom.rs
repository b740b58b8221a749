//! `modelcar sbom`.

use std::path::Path;

use super::attested::PrintArgs;
use super::caching::{Asked, CacheArgs};
use super::options::{self, RegistryArgs};
use super::parallel::ParallelArgs;
use super::reading::ReadArgs;
use super::resolve::Found;
use super::{CliError, attesting, build};
use crate::image::{Base, Build, Contents, ImageSpec};
use crate::kserve::Runtime;
use crate::model::{self, hub_origin};
use crate::oci::{Annotations, Location, Platform};
use crate::report::Ui;
use crate::store::Access;
use crate::trust::attest::{PredicateType, cyclonedx};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An image, or the path of a model
    #[arg(value_name = "REF|PATH")]
    what: String,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    reading: ReadArgs,
    /// Hash every file of a model, and remember nothing
    #[arg(long)]
    no_cache: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let document = match options::image(&self.what)? {
            Some(location) => self.image(ui, &location)?,
            None => self.model(ui, Path::new(&self.what))?,
        };
        self.print.print(ui, &document)
    }

    /// What is attested; else what the image itself tells.
    fn image(&self, ui: &Ui, location: &Location) -> Result<String, CliError> {
        let found = Found::at(location, &self.registry, Access::Read)?;
        let trusted = self.print.trusted(location, &self.registry)?;
        if let Some(attested) = PrintArgs::attested(ui, &found, PredicateType::CYCLONEDX, &trusted)? {
            return Ok(attested);
        }
        ui.note("nobody attested a bill of materials; this one is made from the image now");
        let contents = Contents::read(found.store.as_ref(), &found.manifest)?;
        Ok(serde_json::to_string_pretty(&attesting::bill(&found, &contents, None))?)
    }

    /// What the image of a model would hold.
    fn model(&self, ui: &Ui, path: &Path) -> Result<String, CliError> {
        if !self.print.trusted(&self.what, &self.registry)?.is_nobody() {
            return Err(CliError::usage("a model that is no image yet is not attested", "leave out `--key`"));
        }
        let model = self.reading.read(path)?;
        // What no server could load as it lies has files all the same.
        let layout = match self.reading.lay_out(&model, "model") {
            Ok(layout) => layout,
            Err(_) => model::lay_out(&model, Some(Runtime::Raw), "model")?,
        };
        let base = Base::none(&[Platform::linux("amd64")]);
        let (none, created) = (Annotations::new(), options::created()?);
        let build = Build::new(ImageSpec::of(&model, layout, base, none.clone(), none, created));
        let known = CacheArgs::local(self.no_cache).prepare(
            &Asked { build: &build, target: None, signer: None, registry: &self.registry, parallel: ParallelArgs::default() },
            ui,
        )?;
        let built = build.dry_run(&known.transfer, &ui.watch())?;
        let contents = Contents::of(&built)?;
        let (name, origin) = (build::stem(path), hub_origin(path));
        let bom = cyclonedx::bom(&cyclonedx::Facts { name: &name, image: None, contents: &contents, origin: origin.as_ref() });
        Ok(serde_json::to_string_pretty(&bom)?)
    }
}
