//! `modelcar register`.

use std::path::PathBuf;

use serde::Serialize;

use super::CliError;
use super::options::{self, Format, RegistryArgs};
use super::resolve::Found;
use super::settings::{Origin, Settings, Sourced};
use super::stored::Values;
use super::tekton::TektonArgs;
use crate::kserve::Generation;
use crate::model_registry::{
    Endpoint, EntityName, Entry, ImageFacts, ModelRegistryError, Outcome, Property, Record, Registry, Source, Token, Wish, register,
    rehearse,
};
use crate::oci::{Location, Reference};
use crate::report::register::{self as report, Tense};
use crate::report::{Ui, tekton};
use crate::store::Access;

/// The verb's options. Here `--version` is the model's.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// Show what would be done; write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    to: ToArgs,
    #[command(flatten)]
    entry: EntryArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Where the model is registered.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Model registry")]
struct ToArgs {
    /// The model registry's address [default: `url` below [model-registry] in modelcar.toml]
    #[arg(long, value_name = "URL")]
    registry_url: Option<String>,
    /// A file with the token that says who asks; or a folder with `token` (a mounted secret) [default: MODELCAR_MODEL_REGISTRY_TOKEN, else in a pod the service account's]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What is written beside what the image tells.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Entry")]
struct EntryArgs {
    /// The registered model's name [default: the last part of the repository]
    #[arg(long, value_name = "MODEL")]
    name: Option<String>,
    /// The version's name [default: the tag]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Who owns the model
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Who made the version
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// What the version is
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The Git commit that the model was made from [default: what the image says]
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// A property of your own: KEY=TEXT, KEY:int=NUMBER, KEY:double=NUMBER or KEY:bool=true; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = property)]
    property: Vec<(String, Property)>,
    /// Whose word for the model's format is written: 0.15, 0.17, 0.20, 0.21, or an OpenShift AI version such as rhoai-3.4
    #[arg(long, value_name = "VERSION", default_value = "0.17", value_parser = options::word::<Generation>)]
    kserve: Generation,
}

/// What made the model.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Lineage")]
#[expect(clippy::struct_field_names, reason = "clap names the options by them")]
struct SourceArgs {
    /// What kind of thing made the model, such as `pipelines`
    #[arg(long, value_name = "KIND")]
    source_kind: Option<String>,
    /// Which of that kind, such as `pipelinerun`
    #[arg(long, value_name = "CLASS")]
    source_class: Option<String>,
    /// Where it ran, such as a namespace
    #[arg(long, value_name = "GROUP")]
    source_group: Option<String>,
    /// Which run it was, such as the PipelineRun's uid
    #[arg(long, value_name = "ID")]
    source_id: Option<String>,
    /// Its name for people
    #[arg(long, value_name = "NAME")]
    source_name: Option<String>,
}

#[derive(Serialize)]
struct View<'a> {
    registry: String,
    uri: &'a str,
    dry_run: bool,
    entries: &'a [Entry],
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<(), CliError> {
        let results = self.tekton.of("register")?;
        let registry = self.to.open(&self.registry, ui)?;
        let found = Found::at(&self.image, &self.registry, Access::Read)?;
        let image = found.location.reference().ok_or_else(|| no_name(&found))?;
        let facts = ImageFacts::read(found.store.as_ref(), &found.manifest, &image, self.entry.kserve)?;
        if facts.format.is_none() {
            ui.note("the image does not tell its model's format, so the entry does not either");
        }
        let record = Record::of(&facts, self.entry.wish(&image, self.source)?)?;
        let entries = if self.dry_run { rehearse(&registry, &record)? } else { register(&registry, &record)? };
        for entry in entries.iter().filter(|entry| entry.archived) {
            ui.warn(format!("the registry has archived the {} `{}`: most of its lists do not show it", entry.kind, entry.name));
        }
        results.write(ui, &ids(&entries))?;
        let view = View { registry: registry.endpoint().to_string(), uri: record.uri(), dry_run: self.dry_run, entries: &entries };
        tell(ui, self.format, &view)
    }
}

/// The registry's numbers; none for what a dry run did not make.
fn ids(entries: &[Entry]) -> Values {
    let id = |kind: &str| entries.iter().find(|entry| entry.kind == kind).and_then(|entry| entry.id.clone()).unwrap_or_default();
    vec![
        (tekton::REGISTERED_MODEL_ID, id("RegisteredModel")),
        (tekton::MODEL_VERSION_ID, id("ModelVersion")),
        (tekton::MODEL_ARTIFACT_ID, id("ModelArtifact")),
    ]
}

fn tell(ui: &Ui, format: Format, view: &View<'_>) -> Result<(), CliError> {
    match format {
        Format::Json => ui.data(serde_json::to_string_pretty(view)?)?,
        Format::Text => ui.data(report::table(view.entries, if view.dry_run { Tense::Planned } else { Tense::Done }).trim_end())?,
    }
    let unchanged = view.entries.iter().all(|entry| entry.outcome == Outcome::Unchanged);
    ui.say(match (unchanged, view.dry_run) {
        (true, _) => format!("{} has {} already: nothing to write", view.registry, view.uri),
        (false, true) => format!("nothing was written: that is what would become of {} in {}", view.uri, view.registry),
        (false, false) => format!("registered {} in {}", view.uri, view.registry),
    });
    Ok(())
}

impl ToArgs {
    fn open(&self, registry: &RegistryArgs, ui: &Ui) -> Result<Registry, CliError> {
        let url = self.url()?;
        let endpoint: Endpoint = url.value.parse()?;
        tracing::debug!("the model registry is {endpoint}, by {}", url.origin);
        let token = self.token(&url.origin, ui)?;
        let registry = Registry::open(endpoint, token, &registry.options())?;
        if registry.withholds_token() {
            ui.warn("the service account's token is not sent, because the connection is not encrypted");
        }
        Ok(registry)
    }

    /// The token. A file beside a model may name any address; the pod's own token is not for it to give away.
    fn token(&self, origin: &Origin, ui: &Ui) -> Result<Option<Token>, CliError> {
        let token = Token::choose(self.token_file.as_deref())?;
        match (&token, origin) {
            (Some(found), Origin::File { .. }) if !found.is_given() => {
                let token = found.origin();
                ui.warn(format!(
                    "the service account's token is not sent, because {origin} names the address; `--token-file {token}` sends it"
                ));
                Ok(None)
            }
            _ => Ok(token),
        }
    }

    fn url(&self) -> Result<Sourced<String>, CliError> {
        if let Some(url) = &self.registry_url {
            return Ok(Sourced::flag("--registry-url", url.clone()));
        }
        Settings::load()?.model_registry_url.ok_or_else(|| {
            let hint = "name it with --registry-url URL, MODELCAR_MODEL_REGISTRY_URL, or `url` below [model-registry] in modelcar.toml";
            CliError::usage("there is no model registry to register in", hint)
        })
    }
}

impl EntryArgs {
    fn wish(self, image: &Reference, source: SourceArgs) -> Result<Wish, CliError> {
        let model = self.name.unwrap_or_else(|| image.repository().rsplit('/').next().unwrap_or_default().to_owned());
        let version = self.version.or_else(|| image.tag().map(str::to_owned)).ok_or_else(|| {
            CliError::usage("a digest is no name for a version", "say which version of the model it is with --version VERSION")
        })?;
        Ok(Wish {
            model: name(&model)?,
            version: name(&version)?,
            owner: self.owner,
            author: self.author,
            description: self.description,
            commit: self.commit,
            properties: self.property.into_iter().collect(),
            source: Source {
                kind: source.source_kind,
                class: source.source_class,
                group: source.source_group,
                id: source.source_id,
                name: source.source_name,
            },
        })
    }
}

fn name(text: &str) -> Result<EntityName, ModelRegistryError> {
    text.parse()
}

fn property(text: &str) -> Result<(String, Property), String> {
    Property::parse_pair(text).map_err(|error| match error.hint() {
        Some(hint) => format!("{error}\n\nhint: {hint}"),
        None => error.to_string(),
    })
}

fn no_name(found: &Found) -> CliError {
    let hint = "a registry tells where an image is: push it first, or name it in the layout: oci:DIR:quay.io/org/model:v1";
    CliError::usage(format!("`{}` does not say in which registry the image is", found.location), hint)
}
