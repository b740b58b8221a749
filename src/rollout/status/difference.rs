//! What differs between two things that a site can be told: another site, another time, what runs, what the registry has. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Arrival, SiteStatus};
use crate::image::compare::Comparison;
use crate::oci::{Digest, Reference};
use crate::rollout::{AppState, ModelState, SiteState};

/// Two things side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What to call the one: `edge-01`, `Git`.
    pub old: String,
    /// What to call the other: `edge-02`, `running`.
    pub new: String,
    /// Models, then applications, by name.
    pub rows: Vec<Row>,
}

/// A model or an application on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// On the one side.
    pub old: Option<Version>,
    /// On the other.
    pub new: Option<Version>,
    /// How they compare, in a word or two.
    pub state: String,
    /// Whether they differ; `None` where that cannot be told.
    pub differs: Option<bool>,
    /// The commit that brought the new side.
    pub arrival: Option<Arrival>,
    /// What differs between the images, where they were looked at.
    pub images: Option<Comparison>,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// An application.
    App,
}

/// What one side has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Version {
    /// The image by name, with its tag where that is known.
    pub image: Option<Reference>,
    /// Its digests; several where pods run several.
    pub digests: Vec<Digest>,
    /// The digests beside it, with their part of the requests.
    pub canaries: Vec<(Option<Digest>, u8)>,
}

impl Version {
    /// A model as its site is told.
    pub fn of_model(model: &ModelState) -> Self {
        let canaries = model.canaries.iter().map(|canary| (canary.placed.digest(), canary.percent)).collect();
        let image = model.image.clone().unwrap_or_else(|| model.stable.image.clone());
        Self { image: Some(image), digests: model.stable.digest().into_iter().collect(), canaries }
    }

    fn of_app(app: &AppState) -> Self {
        Self { image: Some(app.image.clone()), digests: app.image.digest().copied().into_iter().collect(), canaries: Vec::new() }
    }

    /// The image by digest.
    pub fn pinned(&self) -> Option<Reference> {
        Some(self.image.as_ref()?.pinned(*self.digests.first()?))
    }

    /// Names of the same digest do not differ; without a digest the name has to do.
    fn is(&self, other: &Self) -> bool {
        let named = || self.image == other.image;
        self.canaries == other.canaries && self.digests == other.digests && (!self.digests.is_empty() || named())
    }
}

impl Difference {
    /// Two sites, or one at two times.
    pub fn of_states(names: (&str, &str), old: &SiteState, new: &SiteState) -> Self {
        let mut rows = self::rows(Kind::Model, names, &models(old), &models(new));
        rows.extend(self::rows(Kind::App, names, &apps(old), &apps(new)));
        Self { old: names.0.to_owned(), new: names.1.to_owned(), rows }
    }

    /// What a site is told and what runs there.
    pub fn of_running(status: &SiteStatus) -> Self {
        let models = status.models.iter().map(|model| {
            let wanted = model.wanted.as_ref().map(|wanted| Version {
                image: Some(wanted.image.clone()),
                digests: wanted.digest.into_iter().collect(),
                canaries: wanted.canaries.iter().map(|canary| (canary.placed.digest(), canary.percent)).collect(),
            });
            let runs = model.running.as_ref().filter(|running| !running.digests.is_empty() || running.pods.is_some());
            let runs = runs.map(|running| Version { digests: running.digests.clone(), ..Version::default() });
            let arrival = model.wanted.as_ref().and_then(|wanted| wanted.arrival.clone());
            Row { arrival, ..row(&model.name, Kind::Model, wanted, runs, (model.drift.to_string(), model.drift.is_drift())) }
        });
        let apps = status.apps.iter().map(|app| {
            row(&app.wanted.name, Kind::App, Some(Version::of_app(&app.wanted)), None, (app.drift.to_string(), app.drift.is_drift()))
        });
        Self { old: "Git".to_owned(), new: "running".to_owned(), rows: models.chain(apps).collect() }
    }

    /// What a site is told of one model, and what its tag names now; `None` where no tag is known.
    pub fn of_tag(model: &ModelState, now: Option<Digest>) -> Row {
        let told = Version::of_model(model);
        let waiting = now.is_some() && now != told.digests.first().copied();
        let state = match now {
            Some(_) if waiting => ("update waiting".to_owned(), Some(true)),
            Some(_) => ("same".to_owned(), Some(false)),
            None => ("no tag is known".to_owned(), None),
        };
        let named = now.map(|digest| Version { image: told.image.clone(), digests: vec![digest], canaries: Vec::new() });
        row(model.name.as_str(), Kind::Model, Some(told), named, state)
    }

    /// Whether anything differs.
    pub fn differs(&self) -> bool {
        self.rows.iter().any(|row| row.differs == Some(true))
    }

    /// Only this model or application.
    #[must_use]
    pub fn only(mut self, name: &str) -> Self {
        self.rows.retain(|row| row.name == name);
        self
    }
}

fn models(state: &SiteState) -> BTreeMap<&str, Version> {
    state.models.iter().map(|model| (model.name.as_str(), Version::of_model(model))).collect()
}

fn apps(state: &SiteState) -> BTreeMap<&str, Version> {
    state.apps.iter().map(|app| (app.name.as_str(), Version::of_app(app))).collect()
}

fn rows(kind: Kind, names: (&str, &str), old: &BTreeMap<&str, Version>, new: &BTreeMap<&str, Version>) -> Vec<Row> {
    let all: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    let compared = all.into_iter().map(|name| {
        let (old, new) = (old.get(name).cloned(), new.get(name).cloned());
        let state = match (&old, &new) {
            (Some(old), Some(new)) if old.is(new) => ("same".to_owned(), Some(false)),
            (Some(_), Some(_)) => ("differs".to_owned(), Some(true)),
            (Some(_), None) => (format!("only {}", names.0), Some(true)),
            (None, _) => (format!("only {}", names.1), Some(true)),
        };
        row(name, kind, old, new, state)
    });
    compared.collect()
}

fn row(name: &str, kind: Kind, old: Option<Version>, new: Option<Version>, (state, differs): (String, Option<bool>)) -> Row {
    Row { name: name.to_owned(), kind, old, new, state, differs, arrival: None, images: None }
}
