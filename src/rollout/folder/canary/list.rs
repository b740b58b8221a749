//! `spec.canary[]`: further predictors beside the stable one, in Standard mode since KServe 0.20 and OpenShift AI 3.5.
//!
//! What an entry says is [`Service::canary_entry`]'s.

use serde_json::{Value, json};

use super::{CanaryError, Model};
use crate::oci::Digest;
use crate::rollout::folder::draft::Draft;
use crate::rollout::folder::edit::{Edit, inside, lookup, path, value_at};
use crate::rollout::folder::images;
use crate::rollout::folder::stable::{self, Version};
use crate::rollout::folder::state::CanaryState;
use crate::rollout::folder::view::{CANARY, Patch};
use crate::rollout::service::{ARGS, Beside, strings};
use crate::rollout::{RolloutError, Service, Style};

const NAME: [&str; 3] = ["spec", "predictor", "name"];
const MIN_REPLICAS: [&str; 3] = ["spec", "predictor", "minReplicas"];

pub(super) fn deploy(draft: &mut Draft, model: &Model<'_>, service: &Service, percent: u8) -> Result<(), RolloutError> {
    check(model, service.digest()?, percent)?;
    let patch = stable::patch(draft, model)?;
    match model.found.state.canary(service.digest()?).and_then(|canary| position(&patch, canary)) {
        Some(at) => change(draft, &patch, at, percent),
        None => add(draft, model, &patch, service, percent),
    }
}

fn check(model: &Model<'_>, digest: Digest, percent: u8) -> Result<(), CanaryError> {
    let name = || model.name.to_string();
    let patched = model.found.patch.as_ref().is_some_and(|patch| value_at(&patch.document, &CANARY).is_some());
    let theirs = model.found.base.as_ref().filter(|base| !patched && value_at(&base.document, &CANARY).is_some());
    if let Some(base) = theirs {
        return Err(CanaryError::Theirs { path: base.path.clone(), member: "spec.canary" });
    }
    if percent == 0 && model.said(&MIN_REPLICAS).and_then(Value::as_u64) == Some(0) {
        return Err(CanaryError::Dark { model: name() });
    }
    let others = model.found.state.canaries.iter().filter(|canary| canary.placed.digest() != Some(digest));
    let sum = others.map(|canary| u32::from(canary.percent)).sum::<u32>() + u32::from(percent);
    if sum > 100 { Err(CanaryError::TooMuch { model: name(), sum }) } else { Ok(()) }
}

/// Another percentage for an entry that is there. With 0 % KServe makes no pod unless one is asked for.
fn change(draft: &mut Draft, patch: &Patch, at: usize, percent: u8) -> Result<(), RolloutError> {
    let own = inside(&CANARY, at, &["predictor", "minReplicas"]);
    let pod = if percent == 0 { Edit::Set(own, json!(1)) } else { Edit::Remove(own) };
    let part = Edit::Set(inside(&CANARY, at, &["trafficPercent"]), json!(percent));
    draft.edit(&patch.file, patch.at, &[part, pod])
}

fn add(draft: &mut Draft, model: &Model<'_>, patch: &Patch, service: &Service, percent: u8) -> Result<(), RolloutError> {
    let mut entry = service.canary_entry(percent, &beside(model))?;
    if model.found.state.style == Style::Images {
        entry["predictor"]["model"]["storageUri"] = json!(images::add_canary(draft, model, &Version::of(service)?)?);
    }
    draft.edit(&patch.file, patch.at, &[Edit::Append(path(&CANARY), entry)])
}

/// The stable predictor, as the site has it.
fn beside<'m>(model: &'m Model<'_>) -> Beside<'m> {
    let taken = model.found.state.canaries.iter().map(|canary| canary.name.as_str());
    Beside {
        format: model.said(&["spec", "predictor", "model", "modelFormat"]),
        args: strings(model.said(&ARGS)),
        taken: taken.chain(model.said(&NAME).and_then(Value::as_str)).collect(),
    }
}

/// The canary becomes the stable version in one change: name and URI together, since KServe refuses a new name alone, and the entry
/// goes away. What else the entry says comes along, so that the canary's pods stay as they are.
pub(super) fn promote(draft: &mut Draft, model: &Model<'_>, canary: &CanaryState) -> Result<(), RolloutError> {
    let patch = stable::patch(draft, model)?;
    let Some(at) = position(&patch, canary) else {
        return Err(CanaryError::None { model: model.name.to_string(), digest: canary.placed.digest() }.into());
    };
    let predictor = &patch.document["spec"]["canary"][at]["predictor"];
    let mut edits = carried(model, predictor);
    if model.found.state.style == Style::Images {
        images::promote(draft, model, canary)?;
    } else {
        edits.push(Edit::Set(path(&["spec", "predictor", "model", "storageUri"]), predictor["model"]["storageUri"].clone()));
    }
    draft.edit(&patch.file, patch.at, &edits)?;
    draft.remove_entry(&patch.file, patch.at, &CANARY, at)?;
    draft.notes.push(renamed(model, canary));
    let others = model.found.state.canaries.iter().filter(|other| other.name != canary.name);
    draft.notes.extend(others.map(|other| format!("canary {} stays, with {} % of the requests", other.name, other.percent)));
    Ok(())
}

/// KServe names a predictor's Service after it (`PredictorServiceName`); the one before goes away.
fn renamed(model: &Model<'_>, canary: &CanaryState) -> String {
    let (name, new) = (model.name, &canary.name);
    let old =
        model.said(&NAME).and_then(Value::as_str).map_or_else(|| format!("{name}-predictor"), |old| format!("{name}-{old}-predictor"));
    format!(
        "inside the cluster the Service {old} is now {name}-{new}-predictor; a Service of your own that selects \
         serving.kserve.io/inferenceservice: {name} and component: predictor keeps one name"
    )
}

/// What the stable predictor takes over, member by member, the URI apart.
fn carried(model: &Model<'_>, predictor: &Value) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (member, value) in predictor.as_object().into_iter().flatten() {
        match member.as_str() {
            "minReplicas" => {}
            "model" | "annotations" => {
                let members = value.as_object().into_iter().flatten();
                let said = |key: &str| model.said(&["spec", "predictor", member, key]);
                let own = members.filter(|(key, value)| !["name", "storageUri"].contains(&key.as_str()) && said(key) != Some(*value));
                edits.extend(own.map(|(key, value)| Edit::Set(path(&["spec", "predictor", member, key]), value.clone())));
            }
            _ => edits.push(Edit::Set(path(&["spec", "predictor", member]), value.clone())),
        }
    }
    edits
}

/// The entries go away.
pub(super) fn roll_back(draft: &mut Draft, model: &Model<'_>) -> Result<(), RolloutError> {
    let patch = stable::patch(draft, model)?;
    if value_at(&patch.document, &CANARY).is_none() {
        let path = model.found.base.as_ref().map(|base| base.path.clone()).unwrap_or_default();
        return Err(CanaryError::Theirs { path, member: "spec.canary" }.into());
    }
    draft.edit(&patch.file, patch.at, &[Edit::Remove(path(&CANARY))])?;
    images::remove_canary(draft, model)
}

fn position(patch: &Patch, canary: &CanaryState) -> Option<usize> {
    let list = value_at(&patch.document, &CANARY)?.as_array()?;
    list.iter().position(|entry| lookup(entry, &["predictor", "name"]) == Some(&canary.name))
}
