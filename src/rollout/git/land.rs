//! How a change gets to where others see it, whoever else is at work.
//!
//! In a work tree that is not pushed, the commit is made there. In all other cases it is made in a private [`Checkout`] on the tip of
//! the branch, pushed, and only then does the user's own work tree follow. So whatever happens in between, even the end of the
//! process, there is either nothing or everything.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use super::checkout::Checkout;
use super::error::GitError;
use super::workspace::{Landed, Proposal, Publish, Workspace, ensure_branch_name};
use super::{CommitId, Repository};
use crate::rollout::forge::Request;
use crate::rollout::{PullRequests, RolloutError};

/// How long a push that loses races is tried again.
const PATIENCE: Duration = Duration::from_secs(120);
/// Half the longest first pause; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The longest description of a pull request, in characters: GitHub takes 65,536.
const MAX_BODY: usize = 60_000;

/// Decides on a GitOps folder what to change in it.
type Decide<'a, E> = dyn FnMut(&Path) -> Result<Option<Proposal>, E> + 'a;

impl Workspace {
    /// Decides, writes, commits and sends. Where somebody else was faster, the folder is brought up to date and everything is decided
    /// again, so that `decide` always sees what it changes; it may run several times, and not always on the folder [`Self::tree`].
    ///
    /// # Errors
    /// Those of `decide`, and what git refuses; the folder is then as it was.
    pub fn land<E: From<RolloutError>>(&self, decide: &mut dyn FnMut(&Path) -> Result<Option<Proposal>, E>) -> Result<Landed, E> {
        let _alone = self.repository.lock().map_err(RolloutError::from)?;
        match (&self.clone, &self.options.publish) {
            (None, Publish::Keep) => self.land_here(decide),
            (Some(clone), _) => self.land_from(clone, self.tree(), decide),
            (None, _) => self.land_beside(decide),
        }
    }

    /// A commit in the user's own work tree.
    fn land_here<E: From<RolloutError>>(&self, decide: &mut Decide<'_, E>) -> Result<Landed, E> {
        self.ensure_wanted_branch().map_err(RolloutError::from)?;
        let Some(proposal) = decide(self.tree())? else { return Ok(Landed::Unchanged) };
        self.repository.ensure_ready(proposal.change.needed()).map_err(RolloutError::from)?;
        let commit = commit(&self.repository, &proposal)?;
        Ok(commit.map_or(Landed::Unchanged, Landed::Committed))
    }

    fn ensure_wanted_branch(&self) -> Result<(), GitError> {
        let (Some(wanted), Some(current)) = (&self.options.branch, self.repository.branch()?) else { return Ok(()) };
        let dir = self.tree().to_owned();
        if *wanted == current { Ok(()) } else { Err(GitError::OtherBranch { dir, current, wanted: wanted.clone() }) }
    }

    /// A commit that is pushed, after which the user's work tree follows.
    fn land_beside<E: From<RolloutError>>(&self, decide: &mut Decide<'_, E>) -> Result<Landed, E> {
        let checkout = Checkout::beside(&self.repository, &self.options).map_err(RolloutError::from)?;
        let tree = checkout.git.dir.join(self.repository.prefix().map_err(RolloutError::from)?);
        let landed = self.land_from(&checkout, &tree, decide)?;
        if !matches!(self.options.publish, Publish::Propose(_)) {
            self.follow(&checkout).map_err(RolloutError::from)?;
        }
        Ok(landed)
    }

    /// Brings the user's work tree to what was pushed. Where it cannot be, that is no failure of the rollout.
    fn follow(&self, checkout: &Checkout) -> Result<(), GitError> {
        if !self.is_on(checkout)? {
            return Ok(());
        }
        let commit = checkout.head()?;
        let said = self.repository.git.run(&["merge", "--quiet", "--ff-only", commit.as_str()], "")?;
        if !said.status.success() {
            tracing::warn!("the commit is pushed; the work tree could not follow, `git pull` does: {}", said.shown());
        }
        Ok(())
    }

    /// Whether the user's work tree shows the branch that is pushed to.
    fn is_on(&self, checkout: &Checkout) -> Result<bool, GitError> {
        let Some(current) = self.repository.branch()? else { return Ok(false) };
        Ok(self.options.branch.is_none() || current == checkout.upstream.branch)
    }

    fn land_from<E: From<RolloutError>>(&self, checkout: &Checkout, tree: &Path, decide: &mut Decide<'_, E>) -> Result<Landed, E> {
        let mut tries = Tries::new(self.options.patience.unwrap_or(PATIENCE));
        loop {
            // A clone is fresh, and stays so until somebody else is faster.
            if self.clone.is_none() || tries.made > 0 {
                self.update(checkout).map_err(RolloutError::from)?;
            }
            if let Some(landed) = self.attempt(checkout, tree, decide)? {
                return Ok(landed);
            }
            tries.pause(checkout).map_err(RolloutError::from)?;
        }
    }

    /// Puts the checkout on the tip of the branch; on the user's own commits where they are on top of it, as `git push` would.
    fn update(&self, checkout: &Checkout) -> Result<(), GitError> {
        let tip = checkout.fetch()?;
        let base = if self.clone.is_some() || matches!(self.options.publish, Publish::Propose(_)) || !self.is_on(checkout)? {
            tip
        } else {
            self.newer(tip, checkout)?
        };
        checkout.reset(&base)
    }

    fn newer(&self, tip: CommitId, checkout: &Checkout) -> Result<CommitId, GitError> {
        let head = self.repository.head()?;
        if self.repository.is_ancestor(&head, &tip)? {
            return Ok(tip);
        }
        if self.repository.is_ancestor(&tip, &head)? {
            return Ok(head);
        }
        let (dir, branch) = (self.tree().to_owned(), checkout.upstream.branch.clone());
        Err(GitError::Diverged { dir, branch, remote: checkout.address().to_string() })
    }

    /// One try; `None` where somebody else was faster.
    fn attempt<E: From<RolloutError>>(&self, checkout: &Checkout, tree: &Path, decide: &mut Decide<'_, E>) -> Result<Option<Landed>, E> {
        let before = checkout.head().map_err(RolloutError::from)?;
        checkout.ensure_holds(tree).map_err(RolloutError::from)?;
        let repository = self.repository.at(tree);
        let Some(proposal) = decide(tree)? else {
            return self.unchanged(checkout, before).map_err(|error| RolloutError::from(error).into());
        };
        let sent = self.commit_and_send(checkout, &repository, &proposal);
        let keep = matches!(sent, Ok(Some(Landed::Pushed { .. } | Landed::Unchanged)));
        if !keep && let Err(error) = checkout.reset(&before) {
            // The first error is the one to tell.
            return Err(sent.err().unwrap_or_else(|| error.into()).into());
        }
        Ok(sent?)
    }

    fn commit_and_send(&self, checkout: &Checkout, repository: &Repository, proposal: &Proposal) -> Result<Option<Landed>, RolloutError> {
        repository.ensure_able(proposal.change.needed())?;
        if self.clone.is_none() {
            self.repository.ensure_committed(&proposal.change.edited())?;
        }
        let before = checkout.head()?;
        let Some(commit) = commit(repository, proposal)? else { return Ok(self.unchanged(checkout, before)?) };
        match &self.options.publish {
            Publish::Propose(requests) => self.propose(checkout, commit, proposal, requests),
            Publish::Keep | Publish::Push => Ok(checkout.push()?.then(|| pushed(checkout, commit))),
        }
    }

    /// There is nothing to commit; but what an earlier run could not send, or the user has not sent yet, goes along with `--push`.
    fn unchanged(&self, checkout: &Checkout, head: CommitId) -> Result<Option<Landed>, GitError> {
        let unsent = self.clone.is_none() && matches!(self.options.publish, Publish::Push) && checkout.commit("FETCH_HEAD")? != head;
        if !unsent {
            return Ok(Some(Landed::Unchanged));
        }
        Ok(checkout.push()?.then(|| pushed(checkout, head)))
    }

    /// Sends the commit to a branch of its own and asks for it to be taken.
    fn propose(
        &self,
        checkout: &Checkout,
        commit: CommitId,
        proposal: &Proposal,
        requests: &PullRequests,
    ) -> Result<Option<Landed>, RolloutError> {
        let branch = proposal.branch(&commit);
        ensure_branch_name(Some(&branch))?;
        let remote = checkout.address();
        let token = self.options.credentials.token.as_ref();
        let place = requests.place(remote, token, self.options.credentials.ca_file.as_deref())?;
        if !checkout.push_to(&branch)? {
            return Ok(None);
        }
        let (title, body) = proposal.words();
        let request = Request { branch: &branch, base: &checkout.upstream.branch, title, body: &shortened(body) };
        let url = place.request(&request)?;
        Ok(Some(Landed::Proposed { commit, branch, remote: remote.to_string(), url }))
    }
}

impl Proposal {
    /// The branch of a pull request.
    fn branch(&self, commit: &CommitId) -> String {
        self.review.as_ref().map_or_else(|| format!("modelcar/{}", commit.short()), |review| format!("modelcar/{}", review.topic))
    }

    /// Title and description of a pull request.
    fn words(&self) -> (&str, &str) {
        let (title, rest) = self.message.split_once('\n').unwrap_or((&self.message, ""));
        (title, self.review.as_ref().map_or(rest.trim(), |review| &review.body))
    }
}

/// A description that every forge takes; the message of the commit has it all.
fn shortened(body: &str) -> Cow<'_, str> {
    match body.char_indices().nth(MAX_BODY) {
        None => Cow::Borrowed(body),
        Some((end, _)) => Cow::Owned(format!("{}\n\n… and more, see the commit.", body.get(..end).unwrap_or_default())),
    }
}

/// Writes a change and commits it; where git, a hook or somebody's edit says no, the files are as they were.
fn commit(repository: &Repository, proposal: &Proposal) -> Result<Option<CommitId>, RolloutError> {
    repository.ensure_committed(&proposal.change.edited())?;
    proposal.change.write()?;
    Ok(repository.commit_change(&proposal.change, &proposal.message)?)
}

fn pushed(checkout: &Checkout, commit: CommitId) -> Landed {
    Landed::Pushed { commit, branch: checkout.upstream.branch.clone(), remote: checkout.address().to_string() }
}

/// How often it was tried, and for how long that goes on.
struct Tries {
    made: u32,
    begun: Instant,
    patience: Duration,
}

impl Tries {
    fn new(patience: Duration) -> Self {
        Self { made: 0, begun: Instant::now(), patience }
    }

    /// Waits before the next try: some time up to a bound that doubles, so that those who collided do not collide again.
    fn pause(&mut self, checkout: &Checkout) -> Result<(), GitError> {
        self.made += 1;
        let pause = bound_after(self.made).mul_f64(dice());
        if self.begun.elapsed() + pause > self.patience {
            let (branch, remote) = (checkout.upstream.branch.clone(), checkout.address().to_string());
            return Err(GitError::Contended { branch, remote, tries: self.made, seconds: self.begun.elapsed().as_secs() });
        }
        tracing::debug!("somebody else pushed first; another try in {pause:.1?}");
        std::thread::sleep(pause);
        Ok(())
    }
}

/// The longest pause after so many tries.
fn bound_after(made: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << made.min(16)).min(LONGEST_PAUSE)
}

/// A number in 0..1. Without a source of randomness the middle will do.
fn dice() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_as_long_as_every_forge_takes() {
        assert_eq!(shortened("| a |"), "| a |");
        let long = shortened(&"é".repeat(100_000)).into_owned();
        assert!(long.chars().count() < 65_536 && long.ends_with("see the commit."));
    }

    #[test]
    fn a_pause_grows_to_its_bound_and_ends_with_the_patience() {
        assert!((0..1000).map(|_| dice()).all(|number| (0.0..1.0).contains(&number)));
        for (made, bound) in [(1, 200), (3, 800), (7, 10_000), (40, 10_000)] {
            assert_eq!(bound_after(made), Duration::from_millis(bound));
        }
    }
}
