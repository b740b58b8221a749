//! One site: what is asked of it, what everybody says to that, and what would change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use serde_json::{Value, json};

use super::super::CliError;
use super::Rolling;
use super::ask::{Course, model_of};
use super::desk::{Look, fingerprint};
use crate::kserve::Generation;
use crate::oci::{Digest, Reference};
use crate::report::preflight as report;
use crate::rollout::preflight::{Builder, CanaryGround, Check, Outcome, Preflight, built, judge, schema};
use crate::rollout::{
    ChangeNote, Deed, Intent, Placed, Planned, RolloutError, Service, Site, SiteName, SiteNote, SiteState, commit_message, plan_intent,
    read_state,
};

/// What is known of one site.
pub(super) struct Assessment {
    pub(super) deed: Deed,
    pub(super) name: String,
    pub(super) note: SiteNote,
    planned: Result<Planned, PlanError>,
    /// The ServingRuntime that the built service names.
    runtime: Option<String>,
    /// What the site's folder was when all this was found out, and in which tree.
    seen: Seen,
}

/// A site's folder as it was seen, with the files that say whose signatures count there.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    tree: PathBuf,
    files: Digest,
}

/// Why there is no plan.
enum PlanError {
    /// Preflight says why.
    Told,
    /// The plan itself could not be made; a row says so, and forcing it makes no plan.
    Rollout(RolloutError),
}

/// A site on its way through the questions.
struct Case<'a> {
    rolling: &'a Rolling<'a>,
    tree: &'a Path,
    site: Site,
    state: SiteState,
    course: Course,
    preflight: Preflight,
    seen: Seen,
}

impl Seen {
    /// Every file below the site's folder, by name and content, and the policy and keys that it names.
    fn at(tree: &Path, site: &Site) -> io::Result<Self> {
        let trust = site.facts.iter().flat_map(|facts| facts.verify.policy.iter().chain(&facts.verify.keys));
        let named = trust.map(|file| format!("{:?} {}\0", fingerprint(&tree.join(file)), file.display()));
        let mut text = named.collect::<Vec<_>>().concat();
        let mut open = vec![tree.join("sites").join(site.name.as_str())];
        while let Some(folder) = open.pop() {
            let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let (path, kind) = (entry.path(), entry.file_type()?);
                if kind.is_dir() {
                    open.push(path);
                } else if kind.is_file() {
                    let digest = Digest::of_reader(&mut fs::File::open(&path)?)?;
                    text.extend([digest.to_string(), format!(" {}\0", path.display())]);
                }
            }
        }
        Ok(Self { tree: tree.to_owned(), files: Digest::of(text.as_bytes()) })
    }
}

impl Rolling<'_> {
    /// Asks everybody about one site. What is `known` holds while the site's folder is the same, and what was built for it while the
    /// change is.
    pub(super) fn assess(
        &self,
        tree: &Path,
        name: &SiteName,
        builder: Builder,
        known: Option<&Arc<Assessment>>,
    ) -> Result<Arc<Assessment>, CliError> {
        let site = Site::read(tree, name)?;
        let seen = Seen::at(tree, &site).map_err(|source| CliError::Reading { path: format!("sites/{name}"), source })?;
        if let Some(known) = known.filter(|known| known.seen == seen) {
            return Ok(known.clone());
        }
        let known = known.map(Arc::as_ref);
        let state = read_state(tree, name)?;
        let course = self.ask.course(tree, &site, &state, self.workspace)?;
        Case { rolling: self, tree, site, state, course, preflight: Preflight::default(), seen }.assess(builder, known).map(Arc::new)
    }
}

impl Case<'_> {
    fn assess(mut self, builder: Builder, known: Option<&Assessment>) -> Result<Assessment, CliError> {
        let look = match self.course.image.clone() {
            Some(image) => {
                let look = self.rolling.desk.look(&image)?;
                let Some(found) = look.as_ref() else {
                    self.preflight.add(Check::Resolve, judge::missing(&image));
                    return Ok(self.done(None, None, Err(PlanError::Told), Vec::new(), None));
                };
                self.ask_registry(found)?;
                self.ask_sources()?;
                Some(look.clone())
            }
            None => None,
        };
        let look = look.as_deref().and_then(Option::as_ref);
        let service = self.service(look);
        let found = look.map(|look| &look.facts.image);
        let intent = self.rolling.ask.intent(found, service.as_ref());
        let planned = intent.map(|intent| self.plan(&intent)).transpose()?.unwrap_or(Err(PlanError::Told));
        let of_site = self.site.facts.as_ref().map(|facts| facts.generation);
        let generation = service.as_ref().map(|service| service.generation).or(of_site).unwrap_or(Generation::V0_17);
        let runtime = self.ask_build(planned.as_ref().ok(), generation, builder, known)?;
        self.ask_kserve(service.as_ref(), look, runtime.as_deref());
        let signers = look.map(|look| self.signers(look)).transpose()?.unwrap_or_default();
        let found = found.cloned();
        Ok(self.done(service.as_ref(), found, planned, signers, runtime))
    }

    /// The rows about the image itself.
    fn ask_registry(&mut self, look: &Look) -> Result<(), CliError> {
        let (facts, desk) = (&look.facts, &self.rolling.desk);
        let digest = facts.image.digest().copied().unwrap_or_else(|| Digest::of(b""));
        let mirrors = desk.mirrors(&facts.image, digest, &self.site);
        let platforms = self.site.facts.as_ref().map(|site| site.platforms.as_slice()).unwrap_or_default();
        self.preflight.add(Check::Resolve, judge::resolve(&facts.image, digest, &mirrors));
        self.preflight.add(Check::Signature, judge::signature(&*desk.signature(look, self.tree, &self.site)?));
        self.preflight.add(Check::Platform, judge::platform(platforms, &facts.platforms));
        if self.course.deed != Deed::App {
            self.preflight.add(Check::Disk, judge::disk(facts, self.site.facts.as_ref().and_then(|site| site.disk)));
        }
        Ok(())
    }

    /// Adapters run beside the model, so they are asked for as much.
    fn ask_sources(&mut self) -> Result<(), CliError> {
        let rolling = self.rolling;
        for source in rolling.ask.sources() {
            let look = rolling.desk.look(&source.image)?;
            let Some(look) = look.as_ref() else {
                self.preflight.worsen(Check::Resolve, judge::missing(&source.image));
                continue;
            };
            let outcome = judge::signature(&*rolling.desk.signature(look, self.tree, &self.site)?);
            if let Outcome::Failed { what, fix } = outcome {
                self.preflight.worsen(Check::Signature, Outcome::failed(format!("{}: {what}", source.name), fix));
            }
        }
        Ok(())
    }

    fn signers(&self, look: &Look) -> Result<Vec<String>, CliError> {
        use crate::rollout::preflight::SignatureFacts;
        Ok(match &*self.rolling.desk.signature(look, self.tree, &self.site)? {
            SignatureFacts::Judged { signers, .. } => signers.clone(),
            SignatureFacts::Nobody => Vec::new(),
        })
    }

    fn service(&self, look: Option<&Look>) -> Option<Service> {
        let facts = &look?.facts;
        let mut service = self.rolling.ask.service(&self.site, &self.course, &facts.image, &facts.annotations)?;
        service.settings.style = service.settings.style.or(self.rolling.style);
        Some(service)
    }

    /// The rows about what the site's KServe can do. `runtime` is the ServingRuntime of the built service.
    fn ask_kserve(&mut self, service: Option<&Service>, look: Option<&Look>, runtime: Option<&str>) {
        let (Some(service), Some(look)) = (service, look) else { return };
        let facts = self.site.facts.as_ref();
        let namespace = service.namespace.as_deref().or_else(|| facts?.namespace.as_deref());
        // Our own build sees no definition outside the site's folder.
        let of_state = model_of(&self.state, &service.name).and_then(|model| model.runtime.as_deref());
        let runtime = runtime.or(service.runtime.as_deref()).or(of_state);
        for (check, outcome) in [
            (Check::Runtime, judge::runtime(service, &look.facts.annotations, facts, runtime)),
            (Check::Delivery, judge::delivery(service.generation, service.delivery)),
            (Check::Canary, judge::canary(self.rolling.ask.canary(), &self.ground(service.generation))),
            (Check::Name, judge::name(&service.name, namespace)),
        ] {
            self.preflight.worsen(check, outcome);
        }
    }

    fn ground(&self, generation: Generation) -> CanaryGround {
        let facts = self.site.facts.as_ref();
        CanaryGround {
            generation,
            mode: facts.map(|facts| facts.mode).unwrap_or_default(),
            nodes: facts.map(|facts| facts.nodes),
            gpus: facts.map_or(0, |facts| facts.gpus),
            runs: self.rolling.ask.model().is_some_and(|model| model_of(&self.state, model).is_some()),
        }
    }

    /// The plan; where the site's KServe cannot do it, a row.
    fn plan(&mut self, intent: &Intent) -> Result<Result<Planned, PlanError>, CliError> {
        match plan_intent(self.tree, &self.site, intent) {
            Ok(planned) => Ok(Ok(planned)),
            Err(error) => match judge::row_of(&error) {
                Some((check, outcome)) => {
                    self.preflight.worsen(check, outcome);
                    Ok(Err(PlanError::Rollout(error)))
                }
                None => Err(error.into()),
            },
        }
    }

    /// The rows about the folder as it would be. Gives the ServingRuntime that the built service names.
    fn ask_build(
        &mut self,
        planned: Option<&Planned>,
        generation: Generation,
        builder: Builder,
        known: Option<&Assessment>,
    ) -> Result<Option<String>, CliError> {
        let Some(planned) = planned else { return Ok(None) };
        let same = known.filter(|known| known.planned.as_ref().is_ok_and(|known| known.change.files == planned.change.files));
        if let Some(known) = same {
            let rows = known.note.preflight.rows.iter().filter(|row| matches!(row.check, Check::Build | Check::Schema));
            rows.for_each(|row| self.preflight.add(row.check, unforced(&row.outcome)));
            return Ok(known.runtime.clone());
        }
        if planned.change.is_empty() {
            self.preflight.add(Check::Build, Outcome::Skipped("nothing changes".to_owned()));
            return Ok(None);
        }
        let digest = planned.new.as_ref().and_then(Placed::digest);
        let built = built(self.tree, &self.site.name, &planned.change, builder)?.bringing(self.rolling.ask.name(), digest);
        self.preflight.add(Check::Build, built.outcome);
        let ground = self.ground(generation);
        self.preflight.add(Check::Schema, schema(&built.services, ground.generation, ground.mode));
        let name = self.rolling.ask.name();
        let service = built.services.iter().find(|service| service["metadata"]["name"] == name);
        Ok(service.and_then(|service| service["spec"]["predictor"]["model"]["runtime"].as_str()).map(str::to_owned))
    }

    fn done(
        self,
        service: Option<&Service>,
        found: Option<Reference>,
        planned: Result<Planned, PlanError>,
        signers: Vec<String>,
        runtime: Option<String>,
    ) -> Assessment {
        // Where the canary alone goes, what runs stays.
        let old_digest = planned.as_ref().ok().and_then(|planned| planned.old_digest).filter(|_| found.is_some());
        let note = SiteNote {
            site: self.site.name,
            image: found.or(self.course.image),
            old_digest,
            delivery: service.map(|service| (service.delivery, service.generation)),
            old_delivery: planned.as_ref().ok().and_then(|planned| planned.old_delivery),
            signers,
            preflight: self.preflight.forced(&self.rolling.args.force),
        };
        Assessment { deed: self.course.deed, name: self.rolling.ask.name().to_owned(), note, planned, runtime, seen: self.seen }
    }
}

/// An answer before it was forced; forcing comes again, with its notes.
fn unforced(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Forced { what } => Outcome::failed(what.clone(), String::new()),
        outcome => outcome.clone(),
    }
}

impl Assessment {
    /// Refuses where a row failed.
    pub(super) fn accept(&self) -> Result<(), CliError> {
        let failures: Vec<_> = self.note.preflight.failures().collect();
        if failures.is_empty() {
            return Ok(());
        }
        let checks = failures.iter().map(|(check, ..)| check.name()).collect::<Vec<_>>().join(", ");
        Err(CliError::Preflight { site: self.note.site.to_string(), checks, hint: self.remedy() })
    }

    /// What to do about each row that failed, and how to go ahead all the same.
    pub(super) fn remedy(&self) -> String {
        let failures: Vec<_> = self.note.preflight.failures().collect();
        let fixes: Vec<String> = match &failures[..] {
            [(_, _, fix)] => vec![(*fix).to_owned()],
            many => many.iter().map(|(check, _, fix)| format!("{check}: {fix}")).collect(),
        };
        // Where there is no plan, forcing makes none.
        let forceable: Vec<_> = failures.iter().filter(|(check, ..)| check.can_be_forced() && self.planned.is_ok()).collect();
        let names = forceable.iter().map(|(check, ..)| check.name()).collect::<Vec<_>>().join(",");
        let force =
            if names.is_empty() { String::new() } else { format!("; `--force {names}` goes ahead all the same, and the commit says so") };
        fixes.join("; ") + &force
    }

    /// The change.
    pub(super) fn planned(&self) -> Result<&Planned, CliError> {
        self.planned.as_ref().map_err(|error| match error {
            PlanError::Rollout(error) => {
                CliError::Preflight { site: self.note.site.to_string(), checks: error.to_string(), hint: error.hint().unwrap_or_default() }
            }
            PlanError::Told => {
                CliError::Preflight { site: self.note.site.to_string(), checks: Check::Resolve.to_string(), hint: self.remedy() }
            }
        })
    }

    /// The digest that the site goes to.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.note.image.as_ref().and_then(|image| image.digest().copied())
    }

    pub(super) fn message(&self) -> String {
        let sites = std::slice::from_ref(&self.note);
        commit_message(&ChangeNote { deed: self.deed, name: &self.name, wave: None, sites })
    }

    /// All of it for scripts.
    pub(super) fn json(&self, commit: &Value, diff: Option<&str>) -> Value {
        json!({
            "site": self.note.site.as_str(),
            "name": self.name,
            "image": self.note.image.as_ref().map(ToString::to_string),
            "digest": self.digest().map(|digest| digest.to_string()),
            "previous": self.note.old_digest.map(|digest| digest.to_string()),
            "changed": self.planned.as_ref().is_ok_and(|planned| !planned.change.is_empty()),
            "preflight": report::json(&self.note.preflight),
            "commit": commit,
            "diff": diff,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_another_when_its_folder_or_whom_it_trusts_is() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("sites/a/site.yaml", "version: 1\nkserve: '0.20'\nverify: {policy: policy.yaml, keys: [keys/a.pub]}\n");
        put("sites/b/site.yaml", "");
        let seen = || Seen::at(dir.path(), &Site::read(dir.path(), &"a".parse().unwrap()).unwrap()).unwrap().files;
        let mut all = vec![seen()];
        put("sites/b/site.yaml", "version: 1");
        assert_eq!(seen(), all[0], "another site is none of its business");
        for path in ["policy.yaml", "keys/a.pub", "sites/a/models/iris.yaml"] {
            put(path, "new");
            assert!(!all.contains(&seen()), "{path}");
            all.push(seen());
        }
    }
}
