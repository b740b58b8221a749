//! The options that say what the InferenceService looks like.
//!
//! An option wins over the site's `site.yaml`, and that over what holds where nothing is said.

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::{Found, local_name};
use crate::image::annotations::{ARGS, FORMAT, RUNTIME};
use crate::kserve::{Delivery, Generation, Kind, Mode, Protocol, Runtime};
use crate::oci::{Annotations, Location, Manifest, RawManifest, Reference};
use crate::report::Ui;
use crate::rollout::{ModelFormat, ModelSource, Quantity, Resources, Scale, Service, ServiceName, Settings, SiteFacts, Strategy, Style};
use crate::store::{Access, StoreError};

/// What the InferenceService looks like.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "InferenceService")]
pub(super) struct ServiceArgs {
    /// The InferenceService's name
    #[arg(long, value_name = "NAME", value_parser = options::word::<ServiceName>)]
    pub(super) name: ServiceName,
    #[command(flatten)]
    pub(super) shape: ShapeArgs,
    /// The site's own facts.
    #[arg(skip)]
    site: Option<SiteFacts>,
}

/// The same without the name.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "InferenceService")]
pub(super) struct ShapeArgs {
    /// The namespace of a new InferenceService, and in a kustomization the patch's target
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// What the cluster's KServe can do: 0.15, 0.17, 0.20, 0.21, or an OpenShift AI version such as rhoai-3.4 [default: 0.17]
    #[arg(long, value_name = "VERSION", value_parser = options::word::<Generation>)]
    kserve: Option<Generation>,
    /// How KServe mounts the image: modelcar, native, fetch [default: modelcar; ship keeps what the site has]
    #[arg(long, value_name = "DELIVERY", value_parser = options::word::<Delivery>)]
    delivery: Option<Delivery>,
    /// The ServingRuntime's name [default: by the image's layout]
    #[arg(long, value_name = "NAME")]
    pub(super) serving_runtime: Option<String>,
    /// The kind of object: isvc, or llm for an LLMInferenceService [default: isvc]
    #[arg(long, value_name = "KIND", value_parser = options::word::<Kind>)]
    kind: Option<Kind>,
    /// A further image, mounted beside the first: an adapter of a language model. Repeatable
    #[arg(long = "source", value_name = "NAME=REF", value_parser = source)]
    pub(super) sources: Vec<ModelSource>,
    #[command(flatten)]
    new: NewServiceArgs,
}

/// What a new InferenceService is told; one that is there is not changed by it.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "New InferenceService")]
struct NewServiceArgs {
    /// How KServe runs it: standard, knative [default: standard]
    #[arg(long, value_name = "MODE", value_parser = options::word::<Mode>)]
    mode: Option<Mode>,
    /// Where a site's folder has its digest: patch (models/NAME.yaml), or images (the kustomization's list) [default: patch]
    #[arg(long, value_name = "STYLE", value_parser = options::word::<Style>)]
    style: Option<Style>,
    /// The fewest pods
    #[arg(long, value_name = "N")]
    min_replicas: Option<u32>,
    /// The most pods
    #[arg(long, value_name = "N")]
    max_replicas: Option<u32>,
    /// What the number of pods follows: cpu=80 or memory=80 (percent), with Knative concurrency=10 or rps=100
    #[arg(long, value_name = "METRIC=TARGET", value_parser = options::word::<Scale>)]
    scale: Option<Scale>,
    /// How clients talk to it: v1, v2, grpc-v1, grpc-v2 [default: the ServingRuntime's]
    #[arg(long, value_name = "PROTOCOL", value_parser = options::word::<Protocol>)]
    protocol: Option<Protocol>,
    /// A secret by which nodes pull the image. Repeatable
    #[arg(long = "pull-secret", value_name = "NAME")]
    pull_secrets: Vec<String>,
    /// The OpenShift AI connection that brings a pull secret
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// The pods' service account
    #[arg(long, value_name = "NAME")]
    service_account: Option<String>,
    /// Reached from outside the cluster: OpenShift AI then makes a Route
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    exposed: Option<bool>,
    /// Stop the old pods before new ones start [default: where the site has no GPU to spare]
    #[arg(long)]
    recreate: bool,
    /// GPUs of a pod [default: 1 for a language model where the site has some]
    #[arg(long, value_name = "N")]
    gpus: Option<u32>,
    /// Memory of a pod: 8Gi
    #[arg(long, value_name = "AMOUNT", value_parser = options::word::<Quantity>)]
    memory: Option<Quantity>,
    /// CPUs of a pod: 2, 500m
    #[arg(long, value_name = "AMOUNT", value_parser = options::word::<Quantity>)]
    cpu: Option<Quantity>,
}

impl ServiceArgs {
    /// The same, with what the site says of itself wherever no option does.
    #[must_use]
    pub(super) fn with_site(self, facts: Option<&SiteFacts>) -> Self {
        Self { site: facts.cloned(), ..self }
    }

    /// Finds out which image every source is now, so that it is named by digest.
    pub(super) fn pin_sources(&mut self, registry: &RegistryArgs) -> Result<(), CliError> {
        self.shape.pin_sources(registry)
    }

    pub(super) fn generation(&self) -> Generation {
        self.shape.kserve.or(self.site.as_ref().map(|site| site.generation)).unwrap_or(Generation::V0_17)
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.shape.delivery.or(self.site.as_ref().map(|site| site.delivery)).unwrap_or(Delivery::Modelcar)
    }

    /// Keeps the kind of object that a site has, where the user names none.
    pub(super) fn keep_kind(&mut self, current: Option<Kind>) {
        self.shape.kind = self.shape.kind.or(current);
    }

    /// [`Self::keep`], where nobody listens.
    pub(super) fn keep_silently(&mut self, current: Option<Delivery>) {
        let Some(current) = current.filter(|_| self.shape.delivery.is_none()) else { return };
        self.shape.delivery = Some(current);
        if self.generation().supports(current).is_err() && self.shape.kserve.is_none() && self.site.is_none() {
            self.shape.kserve = Generation::all().find(|generation| generation.supports(current).is_ok());
        }
    }

    /// Keeps the delivery that a site has, where the user names none; and where nobody says its generation either, the lowest that has it.
    pub(super) fn keep(&mut self, current: Option<Delivery>, ui: &Ui) {
        let Some(current) = current.filter(|current| self.shape.delivery.is_none() && *current != self.delivery()) else { return };
        ui.note(format!("the site has delivery `{current}` for {}, which stays; `--delivery` changes it", self.name));
        self.keep_silently(Some(current));
    }

    /// The options given that change nothing about a service that is there already.
    pub(super) fn for_new_only(&self) -> Vec<&'static str> {
        self.shape.new.given()
    }

    /// The InferenceService of an image that was found.
    pub(super) fn of(&self, found: &Found, ui: &Ui) -> Result<Service, CliError> {
        let annotations = annotations(&found.manifest)?;
        Ok(self.service(self.image_name(found, ui)?.pinned(found.manifest.digest()), &annotations))
    }

    /// The InferenceService of an image by its pinned reference and annotations.
    pub(super) fn service(&self, image: Reference, annotations: &Annotations) -> Service {
        let format = annotations.get(FORMAT).cloned().unwrap_or_else(|| "unknown".to_owned());
        let layout = annotations.get(RUNTIME).and_then(|name| name.parse().ok());
        let named = Service::new(self.name.clone(), image, self.generation());
        Service {
            namespace: self.shape.namespace.clone(),
            delivery: self.delivery(),
            format: ModelFormat { name: format, version: None },
            runtime: self.shape.serving_runtime.clone(),
            layout,
            args: args(annotations),
            kind: self.shape.kind.unwrap_or_default(),
            sources: self.shape.sources.iter().map(|source| self.pulled_source(source)).collect(),
            pull_from: self.pulled(&named.image),
            settings: self.settings(layout),
            ..named
        }
    }

    fn settings(&self, layout: Option<Runtime>) -> Settings {
        let of_site = self.site.as_ref().map(|site| Settings::of_site(site, layout)).unwrap_or_default();
        let settings = self.shape.new.over(Settings { strategy: Strategy::Platform, ..of_site });
        match &self.site {
            Some(site) if self.shape.kind != Some(Kind::LlmInferenceService) => settings.fitted(site),
            _ => settings,
        }
    }

    /// What the site's nodes pull in place of an image; `None` where it is the image itself.
    fn pulled(&self, image: &Reference) -> Option<Reference> {
        let digest = *image.digest()?;
        let pulled = self.site.as_ref()?.pulled(image, digest);
        (pulled.name() != image.name()).then_some(pulled)
    }

    fn pulled_source(&self, source: &ModelSource) -> ModelSource {
        let image = self.pulled(&source.image).unwrap_or_else(|| source.image.clone());
        ModelSource { name: source.name.clone(), image }
    }

    /// The name that the cluster will pull; an image in a layout may have none yet.
    pub(super) fn image_name(&self, found: &Found, ui: &Ui) -> Result<Reference, CliError> {
        if let Some(reference) = found.location.reference() {
            return Ok(reference);
        }
        let name = local_name(&self.name.to_string(), "latest")?;
        ui.warn(format!(
            "`{}` has no registry name, so the patch says {}; name it like oci:DIR:quay.io/org/model:v1",
            found.location,
            name.name()
        ));
        Ok(name)
    }
}

impl ShapeArgs {
    /// The options of a service of this name.
    pub(super) fn named(self, name: ServiceName) -> ServiceArgs {
        ServiceArgs { name, shape: self, site: None }
    }

    /// Finds out which image every source is now, so that it is named by digest.
    pub(super) fn pin_sources(&mut self, registry: &RegistryArgs) -> Result<(), CliError> {
        for source in self.sources.iter_mut().filter(|source| source.image.digest().is_none()) {
            let found = Found::at(&Location::Registry(source.image.clone()), registry, Access::Read)?;
            source.image = source.image.pinned(found.manifest.digest());
        }
        Ok(())
    }
}

impl NewServiceArgs {
    /// What the options say, over what holds without them.
    fn over(&self, below: Settings) -> Settings {
        let own = self.clone();
        let resources = Resources {
            cpu: own.cpu.or(below.resources.cpu),
            memory: own.memory.or(below.resources.memory),
            gpus: own.gpus.unwrap_or(below.resources.gpus),
        };
        Settings {
            mode: own.mode.unwrap_or(below.mode),
            style: own.style.or(below.style),
            min_replicas: own.min_replicas.or(below.min_replicas),
            max_replicas: own.max_replicas.or(below.max_replicas),
            scale: own.scale.or(below.scale),
            protocol: own.protocol.or(below.protocol),
            pull_secrets: if own.pull_secrets.is_empty() { below.pull_secrets } else { own.pull_secrets },
            connection: own.connection.or(below.connection),
            service_account: own.service_account.or(below.service_account),
            exposed: own.exposed.unwrap_or(below.exposed),
            strategy: if own.recreate { Strategy::Recreate } else { below.strategy },
            resources,
            ..below
        }
    }

    fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--mode", self.mode.is_some()),
            ("--style", self.style.is_some()),
            ("--min-replicas", self.min_replicas.is_some()),
            ("--max-replicas", self.max_replicas.is_some()),
            ("--scale", self.scale.is_some()),
            ("--protocol", self.protocol.is_some()),
            ("--pull-secret", !self.pull_secrets.is_empty()),
            ("--connection", self.connection.is_some()),
            ("--service-account", self.service_account.is_some()),
            ("--exposed", self.exposed.is_some()),
            ("--recreate", self.recreate),
            ("--gpus", self.gpus.is_some()),
            ("--memory", self.memory.is_some()),
            ("--cpu", self.cpu.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

/// `lora=quay.io/acme/lora:v1`.
fn source(text: &str) -> Result<ModelSource, String> {
    let (name, image) = options::pair(text).map_err(|_| "expected NAME=REF, such as legal=quay.io/acme/legal-lora:v1".to_owned())?;
    let image = image.parse().map_err(|error: crate::oci::InvalidReference| error.to_string())?;
    Ok(ModelSource { name, image })
}

/// The arguments that an image asks for: a JSON list. What cannot be read is nothing; what may not be asked for is refused later.
fn args(annotations: &Annotations) -> Vec<String> {
    annotations.get(ARGS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The annotations of the image's index or manifest.
pub(super) fn annotations(manifest: &RawManifest) -> Result<Annotations, CliError> {
    Ok(match manifest.parse().map_err(StoreError::from)? {
        Manifest::Index(index) => index.annotations,
        Manifest::Image(manifest) => manifest.annotations,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::oci::Digest;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        service: ServiceArgs,
    }

    /// What options make of a site, for an image laid out for vLLM.
    fn service(site: &str, options: &str) -> Service {
        let facts = SiteFacts::parse(Path::new("site.yaml"), &format!("version: 1\n{site}")).unwrap();
        let words = ["patch", "--name", "chat"].into_iter().chain(options.split_whitespace());
        let args = Line::parse_from(words).service.with_site(Some(&facts));
        let image = format!("quay.io/acme/chat:v1@{}", Digest::of(b"v1")).parse().unwrap();
        args.service(image, &Annotations::from([(RUNTIME.to_owned(), "vllm".to_owned())]))
    }

    const SITE: &str = "kserve: rhoai-3.5\ndelivery: native\ngpus: 1\npullSecret: quay\nexposed: true\nnamespace: models\n\
                        mirrors: [{source: quay.io/acme, mirror: 'edge:5000/acme', rewrite: true}]\n";

    #[test]
    fn a_site_speaks_where_no_option_does() {
        let service = service(SITE, "");
        assert_eq!((service.generation, service.delivery), (Generation::Rhoai3_5, Delivery::Native));
        assert_eq!((service.namespace, service.settings.namespace.as_deref()), (None, Some("models")));
        assert_eq!((service.settings.resources.gpus, service.settings.strategy), (1, Strategy::Recreate));
        assert!(service.settings.exposed && service.settings.pull_secrets == ["quay"]);
        assert_eq!(service.pull_from.unwrap().name(), "edge:5000/acme/chat");
        assert_eq!(service.image.tag(), Some("v1"));
    }

    #[test]
    fn an_option_wins_over_the_site() {
        let service = service(SITE, "--kserve 0.21 --delivery fetch --exposed=false --pull-secret other --gpus 0 --memory 8Gi");
        assert_eq!((service.generation, service.delivery), (Generation::V0_21, Delivery::Fetch));
        assert!(!service.settings.exposed && service.settings.pull_secrets == ["other"]);
        assert_eq!((service.settings.resources.gpus, service.settings.strategy), (0, Strategy::Platform));
        assert_eq!(service.settings.resources.memory.unwrap().to_string(), "8Gi");
    }

    #[test]
    fn without_a_site_everything_is_as_it_was() {
        let args = Line::parse_from(["patch", "--name", "chat"]).service.with_site(None);
        assert_eq!((args.generation(), args.delivery()), (Generation::V0_17, Delivery::Modelcar));
        assert_eq!(args.settings(None), Settings::default());
        assert_eq!(args.for_new_only(), Vec::<&str>::new());
        let args = Line::parse_from(["patch", "--name", "chat", "--cpu", "2", "--exposed"]).service;
        assert_eq!(args.for_new_only(), ["--exposed", "--cpu"]);
    }

    #[test]
    fn sources_come_from_the_mirror_too_and_need_a_name() {
        let source = format!("--source legal=quay.io/acme/legal@{}", Digest::of(b"legal"));
        assert_eq!(service(SITE, &source).sources[0].image.name(), "edge:5000/acme/legal");
        for wrong in ["quay.io/acme/legal", "=quay.io/acme/legal:v1", "legal=:::"] {
            assert!(Line::try_parse_from(["patch", "--name", "chat", "--source", wrong]).is_err(), "{wrong}");
        }
    }
}
