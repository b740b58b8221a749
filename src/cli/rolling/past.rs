//! What a site ran before, as the history of its file knows it.

use std::path::Path;

use fs_err as fs;

use super::super::CliError;
use crate::oci::{Digest, Reference};
use crate::rollout::{AskError, GitError, ModelState, Placed, RolloutError, Site, Wanted, Workspace, read_state};

/// The past of one model on one site.
pub(super) struct History<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) tree: &'a Path,
    pub(super) site: &'a Site,
    pub(super) there: &'a ModelState,
}

impl History<'_> {
    /// The last version before the one that runs.
    pub(super) fn previous(&self) -> Result<Placed, CliError> {
        self.past(&Wanted::Before)?
            .ok_or_else(|| RolloutError::from(AskError::NoPrevious { site: self.site.name.clone(), model: self.there.name.clone() }).into())
    }

    /// The version of a digest, of a tag that the site ran, or of a commit.
    pub(super) fn named(&self, text: &str) -> Result<Placed, CliError> {
        if let Ok(digest) = text.parse::<Digest>() {
            let before = self.past(&Wanted::Digest(digest))?;
            let same = Placed { image: self.there.stable.image.at(digest), ..self.there.stable.clone() };
            return Ok(before.unwrap_or(same));
        }
        if let Some(placed) = self.tagged(text)? {
            return Ok(placed);
        }
        let unknown = || {
            let text = text.chars().take(100).collect();
            RolloutError::from(AskError::UnknownVersion { site: self.site.name.clone(), model: self.there.name.clone(), text })
        };
        match self.past(&Wanted::Revision(text.to_owned())) {
            Ok(Some(placed)) => Ok(placed),
            Ok(None) | Err(CliError::Rollout(RolloutError::Git(_))) => Err(unknown().into()),
            Err(error) => Err(error),
        }
    }

    fn past(&self, wanted: &Wanted) -> Result<Option<Placed>, CliError> {
        let scratch = Scratch::of(self)?;
        let read = |_: &Path, text: &str| scratch.model(text)?.stable.digest();
        match self.workspace.past(self.tree, &self.there.file, wanted, &read) {
            Ok(past) => Ok(scratch.model(&past.text).map(|state| with_tag(&state))),
            Err(GitError::NotInHistory { .. }) => Ok(None),
            Err(error) => Err(RolloutError::from(error).into()),
        }
    }

    /// The last version that was shipped under a tag; the tag may lead elsewhere by now.
    fn tagged(&self, tag: &str) -> Result<Option<Placed>, CliError> {
        let (scratch, file) = (Scratch::of(self)?, &self.there.file);
        let has_tag = |state: &ModelState| state.image.as_ref().is_some_and(|image| image.tag() == Some(tag));
        let mut found = None;
        let search = &mut |revisions: &[crate::rollout::Revision]| -> Result<bool, GitError> {
            let asked: Vec<_> = revisions.iter().map(|revision| (revision.commit.clone(), file.clone())).collect();
            let states = self.workspace.repository().texts(&asked)?.into_iter().flatten().filter_map(|text| scratch.model(&text));
            found = states.into_iter().find(|state| has_tag(state)).map(|state| with_tag(&state));
            Ok(found.is_some())
        };
        self.workspace.history(self.tree, std::slice::from_ref(file), search).map_err(RolloutError::from)?;
        Ok(found)
    }
}

/// A copy of the site's folder in which one file says what it said before.
struct Scratch<'a> {
    history: &'a History<'a>,
    dir: tempfile::TempDir,
}

impl<'a> Scratch<'a> {
    fn of(history: &'a History<'a>) -> Result<Self, CliError> {
        let failed = |source| CliError::File { path: "a scratch folder".to_owned(), source };
        let dir = tempfile::tempdir().map_err(failed)?;
        let folder = Path::new("sites").join(history.site.name.as_str());
        for folder in [folder.clone(), folder.join("base"), folder.join("models")] {
            let to = dir.path().join(&folder);
            fs::create_dir_all(&to).map_err(failed)?;
            for entry in fs::read_dir(history.tree.join(&folder)).into_iter().flatten().filter_map(Result::ok) {
                if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    fs::copy(entry.path(), to.join(entry.file_name())).map_err(failed)?;
                }
            }
        }
        Ok(Self { history, dir })
    }

    /// What that text of the file says of the model. A version that cannot be read any more is none to go back to.
    fn model(&self, text: &str) -> Option<ModelState> {
        let History { site, there, .. } = self.history;
        fs::write(self.dir.path().join(&there.file), text).ok()?;
        let state = read_state(self.dir.path(), &site.name).ok()?;
        state.models.into_iter().find(|model| model.name == there.name && !model.stable_in_history())
    }
}

/// The image with the tag under which it was shipped, for people.
fn with_tag(state: &ModelState) -> Placed {
    let shipped = state.image.as_ref().filter(|image| image.name() == state.stable.image.name());
    let image = match (shipped.and_then(Reference::tag), state.stable.digest()) {
        (Some(tag), Some(digest)) => state.stable.image.tagged(tag).pinned(digest),
        _ => state.stable.image.clone(),
    };
    Placed { image, ..state.stable.clone() }
}
