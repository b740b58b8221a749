//! `modelcar build`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attesting::{AttestingArgs, Story};
use super::built::{BuildView, Chosen, summary};
use super::caching::{Asked, CacheArgs, Prepared};
use super::check::{self, Wanted};
use super::destination::{self, Destination};
use super::gate::AllowArgs;
use super::options::{self, Format, RegistryArgs};
use super::parallel::ParallelArgs;
use super::proving::Proving;
use super::reading::ReadArgs;
use super::resolve::Found;
use super::signing::SigningArgs;
use super::tekton::{Results, TektonArgs};
use super::{CliError, attesting, from_file, options::pair, stored};
use crate::image::annotations::LINT_ALLOWED;
use crate::image::{Base, Build, Built, Compression, ImageSpec};
use crate::kserve::{Delivery, Generation};
use crate::model::lint::Target;
use crate::model::{Model, ServingLayout, UNKNOWN_FORMAT, hub_origin};
use crate::oci::{Location, Platform, Timestamp};
use crate::report::{Ui, tekton, timed};
use crate::store::{Access, Store};
use crate::trust::Signer;
use crate::trust::attest::slsa::Parameters;

/// The platforms of an image unless the user says otherwise.
const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

/// What `build` and `ship` make an image of.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ModelArgs {
    /// The model: a file or a folder
    pub(super) model: PathBuf,
    #[command(flatten)]
    pub(super) reading: ReadArgs,
    /// What lies below the model: an image, or `none` [default: modelcar's own tiny shell]
    #[arg(long, value_name = "REF|oci:DIR|none", value_parser = from_file::word, help_heading = "Image")]
    pub(super) base: Option<String>,
    /// The platforms, separated by commas [default: linux/amd64,linux/arm64, or the base's]
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', help_heading = "Image")]
    pub(super) platform: Vec<Platform>,
    /// The user of the image's containers, where the cluster sets none [default: 65534, or the base's where it is a number]
    #[arg(long, value_name = "UID", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Image")]
    pub(super) user: Option<u32>,
    /// How the model's layers are stored: none, gzip, zstd. Weights hardly shrink, every build and every pull takes longer, and digests
    /// depend on the encoder; KServe's oci+fetch:// refuses zstd (kserve#6014)
    #[arg(long, value_name = "COMPRESSION", default_value_t, value_parser = options::word::<Compression>, help_heading = "Image")]
    pub(super) compression: Compression,
    /// An annotation of the image; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, help_heading = "Image")]
    pub(super) annotation: Vec<(String, String)>,
    /// A label of the image's config; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, help_heading = "Image")]
    pub(super) label: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) allow: AllowArgs,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
    #[command(flatten)]
    pub(super) parallel: ParallelArgs,
}

/// The verb's own options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A way in which KServe will mount the image: modelcar, native, fetch; what it would refuse is not built [default: all three are tried,
    /// and refusals are notes]
    #[arg(long, value_name = "DELIVERY", value_delimiter = ',', value_parser = options::word::<Delivery>, help_heading = "Layout")]
    delivery: Vec<Delivery>,
    /// What the cluster's KServe can do: 0.15, 0.17, 0.20, 0.21, or an OpenShift AI version such as rhoai-3.4 [default: any]
    #[arg(long, value_name = "VERSION", value_parser = options::word::<Generation>, help_heading = "Layout")]
    kserve: Option<Generation>,
    /// The image's name, such as quay.io/org/model:v1; may be repeated
    #[arg(short, long, value_name = "REF", value_parser = options::location)]
    tag: Vec<Location>,
    /// Where the image goes: oci:DIR or oci-archive:FILE [default: oci:modelcar.oci]
    #[arg(short, long, value_name = "DEST", value_parser = options::location)]
    output: Option<Location>,
    /// Send the image to the registry of -t
    #[arg(long)]
    push: bool,
    /// Only tell which image it would be; write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    attesting: AttestingArgs,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        options::ensure_supported(self.kserve, &self.delivery)?;
        self.attesting.check()?;
        let results = self.tekton.of("build")?;
        let started = options::now()?;
        let destination = destination::decide(&self.tag, self.output.as_ref(), self.push, &self.model.stem())?;
        self.model.keep_apart(&destination)?;
        let prover = self.prover(ui, &destination)?;
        let (model, layout) = self.model.read(&self.tag)?;
        tell(ui, &model, &layout);
        let names = self.tag.iter().filter_map(Location::reference).collect();
        let target = Target { names, deliveries: self.delivery.clone(), generation: self.kserve };
        let waived = self.model.allow.pass(ui, &model, &layout, &target)?;
        let chosen = Chosen { format: model.format, runtime: layout.runtime, args: layout.args.clone(), allowed: waived.clone() };
        let build = self.model.plan(&model, layout, &waived, &self.registry, ui)?;
        check::before(ui, &build, &Wanted::of(&self.delivery))?;
        let built = if self.dry_run {
            self.rehearse(ui, &build, &destination, prover.as_ref())?
        } else {
            self.make(ui, &build, &destination, prover.as_ref(), started, &results)?
        };
        self.print(ui, &built, &destination, chosen)
    }

    /// Who signs under which names, if anybody does.
    fn prover(&self, ui: &Ui, destination: &Destination) -> Result<Option<Prover>, CliError> {
        let Some(signer) = self.signing.optional_signer(&destination.location, &self.registry, ui)? else { return Ok(None) };
        self.attesting.check_signer(&signer)?;
        let places = if self.tag.is_empty() { std::slice::from_ref(&destination.location) } else { &self.tag[..] };
        let mut identities = Vec::new();
        for place in places {
            let more = self.signing.identities(place)?;
            identities.extend(more.into_iter().filter(|name| !identities.contains(name)).collect::<Vec<_>>());
        }
        Ok(Some(Prover { signer, identities }))
    }

    fn rehearse(&self, ui: &Ui, build: &Build, destination: &Destination, prover: Option<&Prover>) -> Result<Built, CliError> {
        let known = self.model.rehearsal(build, &self.registry, ui)?;
        let (built, time) = timed(|| build.dry_run(&known.transfer, &ui.watch()))?;
        ui.step("build", format!("{}, nothing written; it would be {}", summary(&built), destination.location), time);
        if let Some(Prover { signer, identities }) = prover {
            let attest = self.attesting.plan(signer).map(|what| format!(" and attest {what}")).unwrap_or_default();
            ui.say(format!("would sign it as {} by {}{attest}", identities.join(", "), signer.name()));
        }
        Ok(built)
    }

    fn make(
        &self,
        ui: &Ui,
        build: &Build,
        destination: &Destination,
        prover: Option<&Prover>,
        started: Timestamp,
        results: &Results,
    ) -> Result<Built, CliError> {
        let store: Arc<dyn Store> = self.registry.open(&destination.location, Access::Write)?.into();
        let target = Some((store.as_ref(), &destination.names[..]));
        let asked =
            Asked { build, target, signer: prover.map(|prover| &prover.signer), registry: &self.registry, parallel: self.model.parallel };
        let known = self.model.cache.prepare(&asked, ui)?;
        let (built, time) = timed(|| build.run(store.as_ref(), &destination.names, &known.transfer, &ui.watch()))?;
        ui.step("build", format!("{}, stored as {}", summary(&built), destination.location), time);
        // The image is there, whatever becomes of its signature.
        let mut values = self.attesting.values(&destination.location, &built, hub_origin(&self.model.model).as_ref())?;
        results.write(ui, &values)?;
        let Some(Prover { signer, identities }) = prover else {
            if self.push {
                ui.note("the image is not signed: add `--key cosign.key`, or run `modelcar sign`");
            }
            return Ok(built);
        };
        let found = Found { location: destination.location.clone(), store, manifest: built.index().clone() };
        let names = if self.tag.is_empty() { std::slice::from_ref(&destination.location) } else { &self.tag[..] };
        let story = Story::of(&built, &self.model.model, self.model.parameters(names, &built)?, started)?;
        let attested = Proving { found: &found, identities, signer, attesting: &self.attesting, story: &story }.run(ui)?;
        values.push((tekton::SBOM_BLOB_URL, stored::sbom(&found, &attested)?));
        results.write(ui, &values)?;
        Ok(built)
    }

    fn print(&self, ui: &Ui, built: &Built, destination: &Destination, chosen: Chosen) -> Result<(), CliError> {
        let digest = built.index().digest();
        match self.format {
            Format::Text => ui.data(destination.location.at(digest))?,
            Format::Json => ui.data(serde_json::to_string_pretty(&BuildView::of(built, destination, chosen))?)?,
        }
        Ok(())
    }
}

/// Who signs the image, under which names.
struct Prover {
    signer: Signer,
    identities: Vec<String>,
}

impl ModelArgs {
    /// Reads the model and lays it out.
    pub(super) fn read(&self, names: &[Location]) -> Result<(Model, ServingLayout), CliError> {
        let model = self.reading.read(&self.model)?;
        let layout = self.reading.lay_out(&model, &self.usual_name(names))?;
        Ok((model, layout))
    }

    /// An archive inside the model's folder would be packed by the next build. (A layout there is known by its files and left out.)
    pub(super) fn keep_apart(&self, destination: &Destination) -> Result<(), CliError> {
        let Location::Archive { file, .. } = &destination.location else { return Ok(()) };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (Ok(folder), Ok(model)) = (folder.canonicalize(), self.model.canonicalize()) else { return Ok(()) };
        if !model.is_dir() || !folder.starts_with(model) {
            return Ok(());
        }
        Err(CliError::usage(
            format!("{} lies inside the model's folder", file.display()),
            "write the archive elsewhere; the next build would pack it",
        ))
    }

    /// The model's name unless one is given: the last part of the repository, or of the path.
    fn usual_name(&self, names: &[Location]) -> String {
        let repository = names.iter().find_map(Location::reference);
        let last = repository.and_then(|reference| reference.repository().rsplit('/').next().map(str::to_owned));
        last.unwrap_or_else(|| self.stem())
    }

    /// What people call the model where nobody names it.
    pub(super) fn stem(&self) -> String {
        stem(&self.model)
    }

    /// What the user asked for, for the record of the build.
    pub(super) fn parameters(&self, names: &[Location], built: &Built) -> Result<Parameters, CliError> {
        let pairs = |pairs: &[(String, String)]| pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let own = [
            ("user", self.user.iter().map(ToString::to_string).collect()),
            ("annotation", pairs(&self.annotation)),
            ("label", pairs(&self.label)),
            ("allow", self.allow.rules().iter().map(|rule| rule.id.to_owned()).collect()),
        ];
        let options = self.reading.asked().into_iter().chain(own).filter(|(_, words): &(_, Vec<String>)| !words.is_empty());
        let path = std::path::absolute(&self.model).unwrap_or_else(|_| self.model.clone());
        Ok(Parameters {
            // The whole path would tell who built, and where.
            model: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            source: None,
            images: names.iter().map(attesting::name_of).collect(),
            platforms: built.platforms.iter().map(ToString::to_string).collect(),
            base: self.base_name(),
            compression: self.compression.to_string(),
            runtime: self.reading.runtime().map_or_else(|| "auto".to_owned(), |runtime| runtime.to_string()),
            options: options.map(|(name, words)| (name.to_owned(), words)).collect(),
            source_date_epoch: options::source_date_epoch()?.map(Timestamp::seconds),
        })
    }

    /// The base as it was asked for, without the folder of a layout.
    fn base_name(&self) -> String {
        let asked = self.base.as_deref().unwrap_or("shell");
        match asked.parse::<Location>() {
            Ok(location @ (Location::Layout { .. } | Location::Archive { .. })) => attesting::name_of(&location),
            _ => asked.to_owned(),
        }
    }

    /// Plans the image on its base. It says which refusals of lint were waived.
    pub(super) fn plan(
        &self,
        model: &Model,
        layout: ServingLayout,
        waived: &[&str],
        registry: &RegistryArgs,
        ui: &Ui,
    ) -> Result<Build, CliError> {
        let created = options::created()?;
        let base = self.base(created, registry)?;
        let base = match self.user {
            Some(uid) => base.run_as(uid),
            None => base,
        };
        ui.notes(&base.notes);
        let (mut own, labels) = (options::annotations(&self.annotation), options::annotations(&self.label));
        if !waived.is_empty() {
            own.insert(LINT_ALLOWED.to_owned(), waived.join(","));
        }
        let spec = ImageSpec::of(model, layout, base, own, labels, created);
        Ok(Build::new(ImageSpec { compression: self.compression, ..spec }))
    }

    /// What is known of an image that is not written.
    pub(super) fn rehearsal(&self, build: &Build, registry: &RegistryArgs, ui: &Ui) -> Result<Prepared, CliError> {
        self.cache.prepare(&Asked { build, target: None, signer: None, registry, parallel: self.parallel }, ui)
    }

    fn base(&self, created: Timestamp, registry: &RegistryArgs) -> Result<Base, CliError> {
        let platforms = match &self.platform[..] {
            [] => PLATFORMS.map(Platform::linux).to_vec(),
            platforms => platforms.to_vec(),
        };
        match self.base.as_deref() {
            None => Ok(Base::shell(&platforms, created.seconds())?),
            Some("none") => Ok(Base::none(&platforms)),
            Some(image) => {
                let found = Found::at(&image.parse()?, registry, Access::Read)?;
                let wanted = Some(&platforms[..]).filter(|_| !self.platform.is_empty());
                let store: Arc<dyn Store> = found.store.clone();
                Ok(Base::image(&store, found.location.reference(), &found.manifest, wanted)?)
            }
        }
    }
}

/// The model's file name without its ending, made fit for a tag.
pub(super) fn stem(model: &Path) -> String {
    let path = std::path::absolute(model).unwrap_or_else(|_| model.to_owned());
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let fit = |character: char| if character.is_ascii_alphanumeric() || "._-".contains(character) { character } else { '-' };
    let tag: String = stem.chars().map(fit).take(128).collect();
    let tag = tag.trim_start_matches(['.', '-']);
    if tag.is_empty() { "model".to_owned() } else { tag.to_owned() }
}

/// Says what the model is and what was noticed.
pub(super) fn tell(ui: &Ui, model: &Model, layout: &ServingLayout) {
    ui.notes(&model.notes);
    // Of an unknown format the model's own note says it.
    if model.format != UNKNOWN_FORMAT {
        ui.note(format!("layout: {} ({})", layout.runtime, layout.why));
    }
    ui.notes(&layout.notes);
}
