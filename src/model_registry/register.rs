//! Find, else create, else change only what differs: a model, then its version, then that version's artifact.

use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::Found;
use super::change::{Change, change};
use super::client::{Posted, Registry, Subject};
use super::record::{Entity, Kind, Record};
use super::{ModelRegistryError, answer};

const MODEL_ARTIFACT: &str = "model-artifact";
/// Artifacts on one page.
const PAGE_SIZE: &str = "50";
/// A version with more artifacts than fit these pages is not looked through.
const MAX_PAGES: usize = 20;

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `RegisteredModel`, `ModelVersion`, `ModelArtifact`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The registry's own number for it; none for what does not exist yet.
    pub id: Option<String>,
    /// What was done, or would be.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Whether the registry has put it away: most lists do not show it then.
    pub archived: bool,
}

/// What was done about an entry, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there, and differed.
    Updated {
        /// In these fields.
        fields: Vec<String>,
    },
    /// It was there as it should be.
    Unchanged,
}

/// Writes what is not there yet.
///
/// # Errors
/// The first refusal; what was written before it stays, and the next run finds it.
pub fn register(registry: &Registry, record: &Record) -> Result<Vec<Entry>, ModelRegistryError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut parent = None;
    for entity in record.entities() {
        let (id, entry) = Step { registry, entity, parent: parent.as_deref() }.settle()?;
        entries.push(entry);
        parent = Some(id);
    }
    Ok(entries)
}

/// Tells what [`register()`] would do, and writes nothing.
pub fn rehearse(registry: &Registry, record: &Record) -> Result<Vec<Entry>, ModelRegistryError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut parent = None;
    for entity in record.entities() {
        let step = Step { registry, entity, parent: parent.as_deref() };
        let reachable = entries.last().is_none_or(|outer| outer.id.is_some());
        let found = if reachable { step.find()? } else { None };
        entries.push(match &found {
            Some(found) => step.entry(found, outcome(change(&entity.fields, &found.fields))),
            None => {
                Entry { kind: entity.kind.to_string(), name: entity.name.clone(), id: None, outcome: Outcome::Created, archived: false }
            }
        });
        parent = found.map(|found| found.id);
    }
    Ok(entries)
}

/// One entry on its way, below its parent.
struct Step<'a> {
    registry: &'a Registry,
    entity: &'a Entity,
    parent: Option<&'a str>,
}

impl Step<'_> {
    fn settle(&self) -> Result<(String, Entry), ModelRegistryError> {
        if let Some(found) = self.find()? {
            return self.adapt(found);
        }
        match self.create()? {
            Posted::Created(found) => Ok((found.id.clone(), self.entry(&found, Outcome::Created))),
            Posted::Conflict(message) => {
                tracing::debug!("somebody else created the {} `{}`", self.entity.kind, self.entity.name);
                let (kind, name) = (self.entity.kind, self.entity.name.clone());
                self.adapt(self.find()?.ok_or(ModelRegistryError::Conflict { kind, name, message })?)
            }
        }
    }

    /// Changes what differs.
    fn adapt(&self, found: Found) -> Result<(String, Entry), ModelRegistryError> {
        let change = change(&self.entity.fields, &found.fields);
        if !change.patch.is_empty() {
            self.registry.patch(&[self.collection(), &found.id], &change.patch, self.subject())?;
        }
        let entry = self.entry(&found, outcome(change));
        Ok((found.id, entry))
    }

    fn find(&self) -> Result<Option<Found>, ModelRegistryError> {
        let (name, parent) = (self.entity.name.as_str(), self.parent.unwrap_or_default());
        match self.entity.kind {
            Kind::RegisteredModel => self.checked(&["registered_model"], &[("name", name)], None),
            Kind::ModelVersion => {
                self.checked(&["model_version"], &[("name", name), ("parentResourceId", parent)], Some(("registeredModelId", parent)))
            }
            Kind::ModelArtifact => self.find_artifact(parent),
        }
    }

    /// Asks a finder. One that gives something else than it was asked for is no finder.
    fn checked(&self, path: &[&str], query: &[(&str, &str)], parent: Option<(&str, &str)>) -> Result<Option<Found>, ModelRegistryError> {
        let Some(found) = self.registry.find(path, query)? else { return Ok(None) };
        let is_child = parent.is_none_or(|(field, id)| found.text(field) == Some(id));
        if is_child && found.text("name") == Some(&self.entity.name) {
            return Ok(Some(found));
        }
        let url = self.registry.endpoint().of(path, query);
        Err(answer::bad(&url, format!("asked for the {} `{}`, it gives another one", self.entity.kind, self.entity.name)))
    }

    /// The version's artifact of this name, else the one with the same image under another name. Whatever else is in the list is not kept.
    fn find_artifact(&self, version: &str) -> Result<Option<Found>, ModelRegistryError> {
        let uri = self.entity.fields.get("uri").and_then(Value::as_str);
        let path = ["model_versions", version, "artifacts"];
        let (mut same_image, mut next) = (None, None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query = vec![("artifactType", MODEL_ARTIFACT), ("pageSize", PAGE_SIZE)];
            query.extend(next.as_deref().map(|token| ("nextPageToken", token)));
            let page = self.registry.list(&path, &query)?;
            for one in page.items.into_iter().filter(|one| one.text("artifactType").is_none_or(|kind| kind == MODEL_ARTIFACT)) {
                if one.text("name") == Some(&self.entity.name) {
                    return Ok(Some(one));
                }
                let is_same = same_image.is_none() && uri.is_some() && one.text("uri") == uri;
                same_image = same_image.or_else(|| is_same.then_some(one));
            }
            next = page.next;
            if next.is_none() {
                return Ok(same_image);
            }
        }
        Err(answer::bad(&self.registry.endpoint().of(&path, &[]), format!("its list goes on after {MAX_PAGES} pages")))
    }

    fn create(&self) -> Result<Posted, ModelRegistryError> {
        let mut body = Map::from_iter([("name".to_owned(), Value::from(self.entity.name.as_str()))]);
        body.extend(self.entity.fields.clone());
        let parent = self.parent.unwrap_or_default();
        if self.entity.kind == Kind::ModelArtifact {
            return self.registry.post(&["model_versions", parent, "artifacts"], &body, self.subject());
        }
        if self.entity.kind == Kind::ModelVersion {
            body.insert("registeredModelId".to_owned(), Value::from(parent));
        }
        self.registry.post(&[self.collection()], &body, self.subject())
    }

    fn collection(&self) -> &'static str {
        match self.entity.kind {
            Kind::RegisteredModel => "registered_models",
            Kind::ModelVersion => "model_versions",
            Kind::ModelArtifact => "model_artifacts",
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { kind: self.entity.kind, name: &self.entity.name }
    }

    fn entry(&self, found: &Found, outcome: Outcome) -> Entry {
        let archived = found.text("state") == Some("ARCHIVED");
        Entry { kind: self.entity.kind.to_string(), name: self.entity.name.clone(), id: Some(found.id.clone()), outcome, archived }
    }
}

fn outcome(change: Change) -> Outcome {
    if change.patch.is_empty() { Outcome::Unchanged } else { Outcome::Updated { fields: change.fields } }
}
