//! `modelcar ship`: the whole way, a line per step.

use std::path::PathBuf;
use std::sync::Arc;

use super::CliError;
use super::attesting::{AttestingArgs, Story};
use super::build::{self, ModelArgs};
use super::built;
use super::caching::Asked;
use super::check::{self, Wanted};
use super::destination::{self, Destination};
use super::options::{self, RegistryArgs};
use super::proving::Proving;
use super::resolve::{Found, local_name};
use super::service::{self, ServiceArgs};
use super::signing::SigningArgs;
use super::stored::{self, Values};
use super::tekton::TektonArgs;
use crate::image::Build;
use crate::kserve::{Delivery, Runtime};
use crate::model::lint::Target;
use crate::oci::{Digest, Location, ManifestRef, RawManifest, Reference, Timestamp};
use crate::report::{Ui, tekton, timed, units};
use crate::rollout::preflight::Preflight;
use crate::rollout::{
    ChangeNote, CommitId, Deed, GitError, Intent, Planned, Repository, RolloutError, Service, Site, SiteName, SiteNote, commit_message,
    plan_intent, read_state,
};

use crate::store::{Access, Store};
use crate::trust::Signer;
use crate::trust::attest::AttestReport;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Where the image goes: REGISTRY/REPOSITORY:TAG, or oci:DIR:NAME for a layout
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    attesting: AttestingArgs,
    #[command(flatten)]
    service: ServiceArgs,
    /// The GitOps repository's work tree
    #[arg(long, value_name = "DIR", help_heading = "GitOps")]
    gitops: PathBuf,
    /// The site: a folder below sites/
    #[arg(long, value_name = "SITE", help_heading = "GitOps")]
    site: SiteName,
    /// Show what would be done; write nothing
    #[arg(long, help_heading = "GitOps")]
    dry_run: bool,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(mut self, ui: &Ui) -> Result<(), CliError> {
        self.attesting.check()?;
        let results = self.tekton.of("ship")?;
        let started = options::now()?;
        let destination = self.destination()?;
        let name = self.image_name(ui)?;
        let repository = Repository::open(&self.gitops)?;
        let site = Site::read(&self.gitops, &self.site)?;
        self.service = self.service.with_site(site.facts.as_ref());
        self.service.pin_sources(&self.registry)?;
        let state = read_state(&self.gitops, &self.site)?;
        let there = state.models.iter().find(|model| model.name == self.service.name);
        self.service.keep_kind(there.map(|model| model.kind));
        self.service.keep(there.map(|model| model.stable.delivery), ui);
        let signer = self.signing.signer(&self.registry, ui)?;
        self.attesting.check_signer(&signer)?;
        let build = self.build(ui)?;
        self.preflight(ui, &repository, &build, &name)?;
        if self.dry_run {
            return self.rehearse(ui, &build, &name, &signer);
        }
        let (found, story, mut values) = self.store(ui, &build, &destination, &signer, started)?;
        results.write(ui, &values)?;
        let attested = self.prove(ui, &found, &name, &signer, &story)?;
        values.push((tekton::SBOM_BLOB_URL, stored::sbom(&found, &attested)?));
        let service = self.of(&found.manifest, &name)?;
        let _alone = repository.lock()?;
        let planned = self.write_patch(ui, &service)?;
        let commit = self.commit(ui, &repository, &planned, &service, &signer)?;
        values.extend(commit.iter().map(|commit| (tekton::COMMIT, commit.to_string())));
        results.write(ui, &values)?;
        Self::conclude(ui, &found, commit)
    }

    /// Whatever the site or the repository would refuse is refused before the first byte is sent. The digest is not known yet; any
    /// other stands for it.
    fn preflight(&self, ui: &Ui, repository: &Repository, build: &Build, name: &Reference) -> Result<(), CliError> {
        let _alone = if self.dry_run { None } else { Some(repository.lock()?) };
        let service = self.service.service(name.pinned(Digest::of(b"")), build.annotations());
        self.ensure_shell(&service)?;
        check::before(ui, build, &Wanted::Named(vec![Self::mounted(&service)]))?;
        let change = self.change_to(&service)?.change;
        repository.ensure_ready(change.needed())?;
        match repository.ensure_committed(&change.edited()) {
            Err(GitError::Uncommitted { .. }) => self.ensure_own(ui, repository, build, name),
            result => Ok(result?),
        }
    }

    /// What changes in the site's folder.
    fn change_to(&self, service: &Service) -> Result<Planned, RolloutError> {
        let site = Site::read(&self.gitops, &self.site)?;
        plan_intent(&self.gitops, &site, &Intent::Deploy { service: Box::new(service.clone()), canary: None })
    }

    /// How the image gets into the pod: OpenShift AI mounts MLServer's `oci://` as an image volume.
    fn mounted(service: &Service) -> Delivery {
        let volume = service.generation.is_rhoai() && service.layout == Some(Runtime::Mlserver);
        if volume && service.delivery == Delivery::Modelcar { Delivery::Native } else { service.delivery }
    }

    /// A modelcar is a container that has to stay up.
    fn ensure_shell(&self, service: &Service) -> Result<(), CliError> {
        if self.model.base.as_deref() != Some("none") || Self::mounted(service) != Delivery::Modelcar {
            return Ok(());
        }
        Err(CliError::usage(
            "delivery `modelcar` runs a shell in the image, and with `--base none` there is none",
            "leave out `--base none`, or use `--delivery native` or `--delivery fetch` where the site's KServe has it",
        ))
    }

    /// Uncommitted files may be what an interrupted run of this same command wrote. Only the true digest tells.
    fn ensure_own(&self, ui: &Ui, repository: &Repository, build: &Build, name: &Reference) -> Result<(), CliError> {
        let known = self.model.rehearsal(build, &self.registry, ui)?;
        let built = build.dry_run(&known.transfer, &ui.watch())?;
        let service = self.of(built.index(), name)?;
        Ok(repository.ensure_committed(&self.change_to(&service)?.change.edited())?)
    }

    /// The name that the cluster will pull and that the signature carries.
    fn image_name(&self, ui: &Ui) -> Result<Reference, CliError> {
        if let Some(reference) = self.image.reference() {
            return Ok(reference);
        }
        let Some(ManifestRef::Tag(tag)) = self.image.manifest_ref() else {
            return Err(CliError::usage(format!("`{}` does not name the image", self.image), "name it: oci:DIR:quay.io/org/model:v1"));
        };
        let name = local_name(&self.service.name.to_string(), &tag)?;
        ui.warn(format!(
            "the layout's image has no registry name, so signature and patch say {name}; oci:DIR:quay.io/org/model:v1 gives it one"
        ));
        Ok(name)
    }

    fn build(&self, ui: &Ui) -> Result<Build, CliError> {
        let ((model, layout), time) = timed(|| self.model.read(std::slice::from_ref(&self.image)))?;
        let size = units::bytes(model.files.iter().map(|file| file.size).sum());
        ui.step(
            "read",
            format!("{}, {}, {size}, laid out for {}", model.format, units::count(model.files.len(), "file"), layout.runtime),
            time,
        );
        build::tell(ui, &model, &layout);
        let waived = self.model.allow.pass(ui, &model, &layout, &self.target())?;
        self.model.plan(&model, layout, &waived, &self.registry, ui)
    }

    /// Where the model will run: the site's platform and delivery.
    fn target(&self) -> Target {
        Target {
            deliveries: vec![self.service.delivery()],
            generation: Some(self.service.generation()),
            names: self.image.reference().into_iter().collect(),
        }
    }

    fn destination(&self) -> Result<Destination, CliError> {
        destination::decide(std::slice::from_ref(&self.image), None, self.is_registry(), "model")
    }

    fn is_registry(&self) -> bool {
        matches!(self.image, Location::Registry(_))
    }

    fn store(
        &self,
        ui: &Ui,
        build: &Build,
        destination: &Destination,
        signer: &Signer,
        started: Timestamp,
    ) -> Result<(Found, Story, Values), CliError> {
        let store: Arc<dyn Store> = self.registry.open(&destination.location, Access::Write)?.into();
        let target = Some((store.as_ref(), &destination.names[..]));
        let known = self
            .model
            .cache
            .prepare(&Asked { build, target, signer: Some(signer), registry: &self.registry, parallel: self.model.parallel }, ui)?;
        let (built, time) = timed(|| build.run(store.as_ref(), &destination.names, &known.transfer, &ui.watch()))?;
        ui.step(if self.is_registry() { "push" } else { "build" }, format!("{} to {}", built::summary(&built), destination.location), time);
        let parameters = self.model.parameters(std::slice::from_ref(&self.image), &built)?;
        let found = Found { location: destination.location.clone(), store, manifest: built.index().clone() };
        let story = Story::of(&built, &self.model.model, parameters, started)?;
        let values = self.attesting.values(&destination.location, &built, story.origin.as_ref())?;
        Ok((found, story, values))
    }

    /// Signs what was pushed, attests it, and checks it as a consumer would.
    fn prove(&self, ui: &Ui, found: &Found, name: &Reference, signer: &Signer, story: &Story) -> Result<AttestReport, CliError> {
        let identities = if self.signing.has_identities() { self.signing.identities(&self.image)? } else { vec![name.to_string()] };
        Proving { found, identities: &identities, signer, attesting: &self.attesting, story }.run(ui)
    }

    fn of(&self, index: &RawManifest, name: &Reference) -> Result<Service, CliError> {
        Ok(self.service.service(name.pinned(index.digest()), &service::annotations(index)?))
    }

    fn write_patch(&self, ui: &Ui, service: &Service) -> Result<Planned, CliError> {
        let (planned, time) = timed(|| -> Result<Planned, CliError> {
            let planned = self.change_to(service)?;
            planned.change.write()?;
            Ok(planned)
        })?;
        let change = &planned.change;
        change.warnings.iter().for_each(|warning| ui.warn(warning));
        let files = units::count(change.files.len(), "file");
        let moved = planned.old_delivery.filter(|old| *old != service.delivery);
        let moved = moved.map(|old| format!(", delivery {old} is now {}", service.delivery)).unwrap_or_default();
        let what =
            if change.is_empty() { "the site has it already".to_owned() } else { format!("{files} of sites/{} changed{moved}", self.site) };
        ui.step("patch", what, time);
        Ok(planned)
    }

    fn commit(
        &self,
        ui: &Ui,
        repository: &Repository,
        planned: &Planned,
        service: &Service,
        signer: &Signer,
    ) -> Result<Option<CommitId>, CliError> {
        let site = SiteNote {
            site: self.site.clone(),
            image: Some(service.image.clone()),
            old_digest: planned.old_digest,
            delivery: Some((service.delivery, service.generation)),
            old_delivery: planned.old_delivery,
            signers: vec![signer.name()],
            preflight: Preflight::default(),
        };
        let note = ChangeNote { deed: Deed::Run, name: service.name.as_str(), wave: None, sites: &[site] };
        let message = commit_message(&note);
        let (commit, time) = timed(|| repository.commit_change(&planned.change, &message))?;
        ui.step("commit", commit.as_ref().map_or_else(|| "nothing to commit".to_owned(), ToString::to_string), time);
        Ok(commit)
    }

    fn conclude(ui: &Ui, found: &Found, commit: Option<CommitId>) -> Result<(), CliError> {
        ui.data(format!("digest {}", found.manifest.digest()))?;
        ui.data(commit.map_or_else(|| "commit none: nothing changed".to_owned(), |commit| format!("commit {commit}")))?;
        Ok(())
    }

    /// `--dry-run`: the digest, and what the site would become.
    fn rehearse(&self, ui: &Ui, build: &Build, name: &Reference, signer: &Signer) -> Result<(), CliError> {
        let known = self.model.rehearsal(build, &self.registry, ui)?;
        let (built, time) = timed(|| build.dry_run(&known.transfer, &ui.watch()))?;
        ui.step("build", format!("{}, nothing written", built::summary(&built)), time);
        let service = self.of(built.index(), name)?;
        let change = self.change_to(&service)?.change;
        change.warnings.iter().for_each(|warning| ui.warn(warning));
        let attest = self.attesting.plan(signer).map(|what| format!(", attest {what}")).unwrap_or_default();
        ui.say(format!("would store {}, sign it as {name} by {}{attest} and commit:", self.image, signer.name()));
        ui.data(change.diff().trim_end())?;
        ui.data(format!("digest {}", built.index().digest()))?;
        Ok(())
    }
}
