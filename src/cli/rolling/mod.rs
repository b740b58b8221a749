//! What `deploy`, `update`, `promote`, `rollback` and `set-app` share: which sites, what is asked before, the change, the commit.
//!
//! ```text
//! words and options ─► Ask ─┐
//! sites ─► waves ──────────►│ assess (site.yaml, state, registry) ─► preflight ─► refused, or a change
//!                           └► Workspace::land: assessed again on what is there then, written, committed
//! ```

mod ask;
mod assess;
mod choice;
mod desk;
mod past;
mod results;
mod waves;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub(super) use ask::Ask;
use assess::Assessment;
pub(super) use choice::{SitesArgs, image};
use desk::Desk;

use super::CliError;
use super::gitops::GitOpsArgs;
use super::options::{self, Format, RegistryArgs};
use super::policy::PolicyArgs;
use super::settings::Settings;
use super::tekton::{Results, TektonArgs};
use super::trusting::TrustedArgs;
use crate::report::{Ui, preflight as report, timed};
use crate::rollout::fleet::Choice;
use crate::rollout::preflight::{Builder, Check};
use crate::rollout::{Landed, Proposal, Review, RolloutError, SiteName, Style, Workspace};

/// What all of them take.
#[derive(Debug, clap::Args)]
pub(super) struct RollingArgs {
    #[command(flatten)]
    gitops: GitOpsArgs,
    /// Show preflight and the change; write nothing
    #[arg(long, help_heading = "GitOps")]
    dry_run: bool,
    /// Go ahead though this row of preflight fails, and say so in the commit; may be repeated
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = forceable, help_heading = "Preflight")]
    force: Vec<Check>,
    /// Who builds the site to see that it does: kubectl, own (without any other program), or auto: kubectl where it is there and one
    /// site changes
    #[arg(long, value_name = "WHO", default_value = "auto", value_parser = options::word::<Builder>, help_heading = "Preflight")]
    build: Builder,
    /// The most sites of a wave, each wave one commit [default: a whole ring]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Many sites")]
    wave_size: Option<u32>,
    /// So many sites may be left out before the rollout stops
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Many sites")]
    max_failures: usize,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    trusting: TrustedArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// A row that may be forced, by its name.
fn forceable(text: &str) -> Result<Check, String> {
    let check: Check = options::word(text)?;
    if check.can_be_forced() { Ok(check) } else { Err(format!("`{check}` cannot be forced: there would be nothing to write")) }
}

impl RollingArgs {
    /// How registries are reached.
    pub(super) fn registry(&self) -> &RegistryArgs {
        &self.registry
    }

    /// Does what is asked of one site or of many.
    pub(super) fn run(&self, ask: &Ask, choice: &Choice, ui: &Ui) -> Result<(), CliError> {
        let results = self.tekton.of(ask.verb())?;
        let settings = Settings::load()?;
        let gitops = GitOpsArgs { ca_file: self.registry.ca_file().map(Path::to_owned), ..self.gitops.clone().or(&settings)? };
        let workspace = gitops.workspace()?;
        let desk = Desk::new(self, &settings.verify);
        let rolling = Rolling { args: self, gitops: &gitops, ask, desk, workspace: &workspace, style: style(&settings)?, results, ui };
        match choice {
            Choice::Site(site) => rolling.one(site),
            many => rolling.many(many),
        }
    }
}

fn style(settings: &Settings) -> Result<Option<Style>, CliError> {
    let style = settings.gitops.style.as_ref().map(|setting| setting.value.parse());
    Ok(style.transpose().map_err(RolloutError::from)?)
}

/// A rollout on its way.
struct Rolling<'a> {
    args: &'a RollingArgs,
    gitops: &'a GitOpsArgs,
    ask: &'a Ask,
    desk: Desk<'a>,
    workspace: &'a Workspace,
    /// Where digests of new models stand, for sites that do not say it.
    style: Option<Style>,
    /// Where a Tekton task wants to be told.
    results: Results,
    ui: &'a Ui,
}

impl Rolling<'_> {
    fn one(&self, site: &SiteName) -> Result<(), CliError> {
        crate::rollout::fleet::waves(self.workspace.tree(), &Choice::Site(site.clone()), None)?;
        let builder = self.args.build;
        let (first, time) = timed(|| self.assess(self.workspace.tree(), site, builder, None))?;
        self.show(&first, time);
        if self.args.dry_run {
            return self.rehearse(&first);
        }
        first.accept().inspect_err(|_| self.refused(&first))?;
        let mut last = first.clone();
        let (landed, time) = timed(|| {
            self.workspace.land(&mut |tree| -> Result<_, CliError> {
                let again = self.assess(tree, site, builder, Some(&last))?;
                again.accept()?;
                let proposal = Proposal { review: self.review(&again), ..Proposal::new(again.planned()?.change.clone(), again.message()) };
                last = again;
                Ok(Some(proposal))
            })
        })?;
        self.ui.step("commit", told(&landed), time);
        self.write_results(std::slice::from_ref(&landed), std::slice::from_ref(site))?;
        self.conclude(&last, &landed)
    }

    /// The table, what a person should know, and what changes.
    fn show(&self, assessment: &Assessment, time: Duration) {
        let preflight = &assessment.note.preflight;
        self.ui.say(report::table(preflight).trim_end());
        if preflight.failures().next().is_none() {
            self.ui.step("preflight", report::summary(preflight), time);
        }
        self.ui.notes(&preflight.notes);
        if let Ok(planned) = assessment.planned() {
            self.ui.notes(&planned.notes);
            planned.change.warnings.iter().for_each(|warning| self.ui.warn(warning));
        }
    }

    /// What a pull request says: preflight as a table.
    fn review(&self, assessment: &Assessment) -> Option<Review> {
        let digest = assessment.digest().map(|digest| format!("-{}", digest.short())).unwrap_or_default();
        let topic = format!("{}/{}{digest}", assessment.note.site, assessment.name);
        self.gitops.proposes().then(|| Review { topic, body: report::markdown(&assessment.note.preflight) })
    }

    /// A script that asked for JSON gets it when the answer is no, too.
    fn refused(&self, assessment: &Assessment) {
        if self.args.format == Format::Json {
            let _ = self.ui.data(json!({"site": assessment.note.site.as_str(), "preflight": report::json(&assessment.note.preflight)}));
        }
    }

    /// `--dry-run`: what would change; refused where preflight refuses.
    fn rehearse(&self, assessment: &Assessment) -> Result<(), CliError> {
        let diff = assessment.planned().map(|planned| planned.change.diff()).unwrap_or_default();
        match self.args.format {
            Format::Json => self.ui.data(format!("{:#}", assessment.json(&json!(null), Some(&diff))))?,
            Format::Text if diff.is_empty() && assessment.planned().is_ok() => self.ui.say("nothing would change"),
            Format::Text if diff.is_empty() => {}
            Format::Text => self.ui.data(diff.trim_end())?,
        }
        self.write_results(&[], &[])?;
        assessment.accept()
    }

    fn conclude(&self, assessment: &Assessment, landed: &Landed) -> Result<(), CliError> {
        if self.args.format == Format::Json {
            let document = assessment.json(&json!(commit(landed)), None);
            return Ok(self.ui.data(format!("{:#}", with_request(document, landed)))?);
        }
        if let Some(digest) = assessment.digest() {
            self.ui.data(format!("digest {digest}"))?;
        }
        Ok(self.ui.data(lines(landed))?)
    }
}

/// `commit …`, and `request URL` where somebody has to merge it.
fn lines(landed: &Landed) -> String {
    match landed {
        Landed::Unchanged => "commit none: nothing changed".to_owned(),
        Landed::Committed(commit) | Landed::Pushed { commit, .. } => format!("commit {commit}"),
        Landed::Proposed { commit, url, .. } => format!("commit {commit}\nrequest {url}"),
    }
}

/// The commit, where there is one.
fn commit(landed: &Landed) -> Option<String> {
    match landed {
        Landed::Unchanged => None,
        Landed::Committed(commit) | Landed::Pushed { commit, .. } | Landed::Proposed { commit, .. } => Some(commit.to_string()),
    }
}

fn with_request(mut document: Value, landed: &Landed) -> Value {
    if let Landed::Proposed { url, .. } = landed {
        document["request"] = json!(url);
    }
    document
}

fn told(landed: &Landed) -> String {
    match landed {
        Landed::Unchanged => "nothing to commit".to_owned(),
        Landed::Committed(commit) => commit.to_string(),
        Landed::Pushed { commit, branch, remote } => format!("{commit} on {branch} of {remote}"),
        Landed::Proposed { branch, remote, url, .. } => format!("{url} for {branch} of {remote}"),
    }
}
