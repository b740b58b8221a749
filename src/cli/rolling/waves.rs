//! Many sites: a wave after the other, each one commit; sites that fail are left out and told.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::CliError;
use super::super::options::Format;
use super::assess::Assessment;
use super::{Rolling, commit, lines, told, with_request};
use crate::exit_code;
use crate::report::preflight::{self as report, WaveLine};
use crate::report::timed;
use crate::rollout::fleet::{Choice, Wave, unreadable, waves};
use crate::rollout::preflight::Builder;
use crate::rollout::{AskError, ChangeNote, Landed, Proposal, Review, RolloutError, SiteName, SiteNote, TreeChange, commit_message};

/// More threads than cores: they wait for mirrors.
const THREADS: usize = 8;

/// What became of the sites of a wave.
#[derive(Default)]
struct Sorted {
    good: Vec<Arc<Assessment>>,
    left_out: Vec<LeftOut>,
}

struct LeftOut {
    site: SiteName,
    reason: String,
    remedy: String,
    refused: bool,
}

/// What became of all of them.
#[derive(Default)]
struct Tally {
    lines: Vec<WaveLine>,
    left_out: Vec<LeftOut>,
    documents: Vec<Value>,
    landed: Vec<Landed>,
    /// The sites of what landed.
    sites: Vec<SiteName>,
    concerned: usize,
    stopped: bool,
}

impl Rolling<'_> {
    pub(super) fn many(&self, choice: &Choice) -> Result<(), CliError> {
        if let Choice::Ring(ring) = choice {
            for (site, error) in unreadable(self.workspace.tree())? {
                self.ui.warn(format!("whether {site} is in the ring {ring} cannot be told, so it is left alone: {error}"));
            }
        }
        let size = self.args.wave_size.map(|size| size as usize);
        let mut tally = Tally::default();
        for wave in waves(self.workspace.tree(), choice, size)? {
            self.wave(&wave, &mut tally).inspect_err(|_| self.told_so_far(&tally))?;
        }
        if tally.concerned == 0 {
            return self.nowhere(choice);
        }
        self.tell(&tally)
    }

    /// Nobody is concerned.
    fn nowhere(&self, choice: &Choice) -> Result<(), CliError> {
        match self.ask.model() {
            Some(model) => Err(RolloutError::from(AskError::NowhereRunning { choice: choice.to_string(), model: model.clone() }).into()),
            None => Err(RolloutError::from(AskError::NoSites { choice: choice.to_string(), known: String::new() }).into()),
        }
    }

    fn wave(&self, wave: &Wave, tally: &mut Tally) -> Result<(), CliError> {
        if tally.stopped {
            tally.lines.push(line(wave, wave.sites.len(), 0, 0, "not begun"));
            return Ok(());
        }
        let (sorted, time) = timed(|| Ok::<_, CliError>(self.sort(&wave.sites)))?;
        let Sorted { good, left_out } = sorted;
        let (sites, failed) = (good.len() + left_out.len(), left_out.len());
        if sites == 0 {
            return Ok(());
        }
        tally.concerned += sites;
        tally.left_out.extend(left_out);
        self.ui.step("preflight", format!("{}: {} of {sites} sites pass", wave.label, good.len()), time);
        let changed = good.iter().filter(|site| site.planned().is_ok_and(|planned| !planned.change.is_empty())).count();
        if tally.left_out.len() > self.args.max_failures {
            tally.stopped = true;
            tally.lines.push(line(wave, sites, 0, failed, "not written"));
            tally.documents.push(document(wave, &good, &Landed::Unchanged));
            return Ok(());
        }
        let landed = if good.is_empty() { Landed::Unchanged } else { self.land(wave, &good)? };
        let result = match commit(&landed) {
            _ if self.args.dry_run => "not written".to_owned(),
            Some(commit) => commit.chars().take(12).collect(),
            None => "nothing to commit".to_owned(),
        };
        tally.lines.push(line(wave, sites, changed, failed, &result));
        tally.documents.push(document(wave, &good, &landed));
        tally.landed.push(landed);
        tally.sites.extend(good.iter().filter(|_| !self.args.dry_run).map(|site| site.note.site.clone()));
        Ok(())
    }

    /// Asks everybody about all sites; those that are not concerned are in neither list.
    fn sort(&self, sites: &[SiteName]) -> Sorted {
        let mut sorted = Sorted::default();
        for (site, result) in sites.iter().zip(self.assess_all(self.workspace.tree(), sites, &[])) {
            match result {
                Ok(assessment) => match assessment.accept().and_then(|()| assessment.planned().map(drop)) {
                    Ok(()) => sorted.good.push(assessment),
                    Err(_) => sorted.left_out.push(LeftOut::refused(&assessment)),
                },
                Err(CliError::Rollout(RolloutError::Ask(AskError::NotRunning { .. } | AskError::NothingToPromote { .. }))) => {}
                Err(error) => sorted.left_out.push(LeftOut::failed(site, &error)),
            }
        }
        sorted
    }

    /// All at once, in the order of the names. kubectl is not started a thousand times unless that is asked for.
    fn assess_all(&self, tree: &Path, sites: &[SiteName], known: &[Arc<Assessment>]) -> Vec<Result<Arc<Assessment>, CliError>> {
        let builder = if self.args.build == Builder::Kubectl { Builder::Kubectl } else { Builder::Own };
        let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(sites.len())));
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(site) = sites.get(at) else { return };
                let result = self.assess(tree, site, builder, known.get(at));
                results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, result));
            }
        };
        std::thread::scope(|scope| {
            (0..THREADS.min(sites.len())).for_each(|_| drop(scope.spawn(work)));
        });
        let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        results.sort_by_key(|(at, _)| *at);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// One commit for the whole wave.
    fn land(&self, wave: &Wave, good: &[Arc<Assessment>]) -> Result<Landed, CliError> {
        if self.args.dry_run {
            for site in good.iter().filter(|_| self.args.format == Format::Text) {
                let diff = site.planned()?.change.diff();
                if !diff.is_empty() {
                    self.ui.data(diff.trim_end())?;
                }
            }
            return Ok(Landed::Unchanged);
        }
        let sites: Vec<SiteName> = good.iter().map(|site| site.note.site.clone()).collect();
        let (landed, time) = timed(|| {
            self.workspace.land(&mut |tree| {
                let again = self.assess_all(tree, &sites, good).into_iter().collect::<Result<Vec<_>, CliError>>()?;
                self.proposal(wave, &again)
            })
        })?;
        self.ui.step("commit", told(&landed), time);
        Ok(landed)
    }

    /// The changes of a wave as one; those of sites that are as they should be already are not told.
    fn proposal(&self, wave: &Wave, sites: &[Arc<Assessment>]) -> Result<Option<Proposal>, CliError> {
        sites.iter().try_for_each(|site| site.accept())?;
        let mut changes = Vec::new();
        let mut notes: Vec<SiteNote> = Vec::new();
        for site in sites {
            let change = site.planned()?.change.clone();
            if !change.is_empty() {
                notes.push(site.note.clone());
            }
            changes.push(change);
        }
        let (Some(change), Some(first)) = (TreeChange::join(changes), sites.first()) else { return Ok(None) };
        if notes.is_empty() {
            notes = sites.iter().map(|site| site.note.clone()).collect();
        }
        let message = commit_message(&ChangeNote { deed: first.deed, name: &first.name, wave: Some(&wave.label), sites: &notes });
        let topic = wave.label.replace(' ', "-") + "/" + &first.name;
        let review = self.gitops.proposes().then(|| Review { topic, body: format!("```\n{message}```\n") });
        Ok(Some(Proposal { review, ..Proposal::new(change, message) }))
    }

    /// What earlier waves wrote stays, and is told, whatever became of this one; the first error is the one to end with.
    fn told_so_far(&self, tally: &Tally) {
        if !tally.landed.is_empty() {
            let _ = self.tell(tally);
        }
    }

    fn tell(&self, tally: &Tally) -> Result<(), CliError> {
        self.write_results(&tally.landed, &tally.sites)?;
        self.ui.say(report::waves(&tally.lines).trim_end());
        if !tally.left_out.is_empty() {
            let rows: Vec<_> = tally.left_out.iter().map(|out| (out.site.to_string(), out.reason.clone(), out.remedy.clone())).collect();
            self.ui.fail(report::left_out(&rows).trim_end());
        }
        if self.args.format == Format::Json {
            let left_out = tally.left_out.iter().map(LeftOut::json).collect::<Vec<_>>();
            self.ui.data(format!("{:#}", json!({"waves": tally.documents, "left_out": left_out, "stopped": tally.stopped})))?;
        } else if !self.args.dry_run {
            tally.landed.iter().try_for_each(|landed| self.ui.data(lines(landed)))?;
        }
        if tally.left_out.is_empty() {
            return Ok(());
        }
        let refused = tally.left_out.iter().any(|out| out.refused);
        Err(CliError::LeftOut { left_out: tally.left_out.len(), sites: tally.concerned, stopped: tally.stopped, refused })
    }
}

fn line(wave: &Wave, sites: usize, changed: usize, left_out: usize, result: &str) -> WaveLine {
    WaveLine { label: wave.label.clone(), sites, changed, left_out, result: result.to_owned() }
}

fn document(wave: &Wave, good: &[Arc<Assessment>], landed: &Landed) -> Value {
    let commit = json!(commit(landed));
    let sites: Vec<_> = good.iter().map(|site| site.json(&commit, None)).collect();
    with_request(json!({"wave": wave.label, "commit": commit, "sites": sites}), landed)
}

impl LeftOut {
    fn refused(assessment: &Assessment) -> Self {
        let reasons: Vec<_> = assessment.note.preflight.failures().map(|(check, what, _)| format!("{check}: {what}")).collect();
        let (site, remedy) = (assessment.note.site.clone(), assessment.remedy());
        Self { site, reason: reasons.join("; "), remedy, refused: true }
    }

    fn failed(site: &SiteName, error: &CliError) -> Self {
        let refused = error.exit_code() == exit_code::REFUSED;
        Self { site: site.clone(), reason: error.to_string(), remedy: error.hint().unwrap_or_default(), refused }
    }

    fn json(&self) -> Value {
        json!({"site": self.site.as_str(), "reason": self.reason, "remedy": self.remedy})
    }
}
