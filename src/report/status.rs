//! The fleet as a table and as JSON; [`super::metrics`] is the same for Prometheus.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table};
use console::Style;
use serde_json::{Value, json};

use super::table::{self, columns};
use super::units;
use crate::oci::{Digest, Reference, Timestamp, printable};
use crate::rollout::status::{AppStatus, Drift, ModelStatus, Running, SiteStatus, Wanted};

/// The longest signer that the table shows, in characters.
const MAX_SIGNER: usize = 24;
/// The longest image name that the table shows, in characters.
const MAX_IMAGE: usize = 64;
/// Where there is nothing to say.
const NOTHING: &str = "–";

/// From when on something is old.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The present moment.
    pub now: Timestamp,
    /// In seconds.
    pub max_age: Option<u64>,
}

impl View {
    fn age(self, wanted: &Wanted) -> Option<u64> {
        Some(self.now.seconds().saturating_sub(wanted.arrival.as_ref()?.time.seconds()))
    }

    /// Whether a model has been at its site for longer than was allowed.
    pub fn is_old(self, model: &ModelStatus) -> bool {
        let age = model.wanted.as_ref().and_then(|wanted| self.age(wanted));
        age.zip(self.max_age).is_some_and(|(age, most)| age > most)
    }
}

/// The models of all sites, and their applications below; a column that would be empty is left out.
pub fn table(sites: &[SiteStatus], view: View) -> String {
    let models: Vec<_> = sites.iter().flat_map(|site| site.models.iter().map(move |model| (site, model))).collect();
    let apps: Vec<_> = sites.iter().flat_map(|site| site.apps.iter().map(move |app| (site, app))).collect();
    let mut parts = Vec::new();
    if !models.is_empty() {
        parts.push(model_table(&models, view));
    }
    if !apps.is_empty() {
        parts.push(app_table(&apps));
    }
    if parts.is_empty() { "no models\n".to_owned() } else { parts.join("\n") }
}

/// A column: its header, and what it says of a model.
type Column<'a> = (&'static str, Box<dyn Fn(&SiteStatus, &ModelStatus) -> String + 'a>);

fn model_table(rows: &[(&SiteStatus, &ModelStatus)], view: View) -> String {
    let any = |has: &dyn Fn(&SiteStatus, &ModelStatus) -> bool| rows.iter().any(|(site, model)| has(site, model));
    let mut columns: Vec<Column<'_>> = vec![("SITE", Box::new(|site, _| site.site.to_string()))];
    if any(&|site, _| site.ring.is_some()) {
        columns.push(("RING", Box::new(|site, _| or_nothing(site.ring.clone()))));
    }
    columns.push(("MODEL", Box::new(|_, model| model.name.clone())));
    columns.push(("IMAGE", Box::new(|_, model| or_nothing(model.wanted.as_ref().map(|wanted| image(&wanted.image))))));
    columns.push(("DIGEST", Box::new(|_, model| digest(model.wanted.as_ref().and_then(|wanted| wanted.digest)))));
    columns.push(("AGE", Box::new(move |_, model| age(model, view))));
    columns.push(("SIGNER", Box::new(|_, model| signer(model))));
    if any(&|_, model| model.wanted.as_ref().is_some_and(|wanted| !wanted.canaries.is_empty())) {
        columns.push(("CANARY", Box::new(|_, model| or_nothing(model.wanted.as_ref().map(canaries)))));
    }
    if any(&|_, model| model.running.is_some()) {
        columns.push(("RUNNING", Box::new(|_, model| running(model.running.as_ref()))));
        columns.push(("READY", Box::new(|_, model| ready(model.running.as_ref()))));
        if any(&|site, _| site.sync.is_some()) {
            columns.push(("ARGO CD", Box::new(|site, _| or_nothing(site.sync.clone()))));
        }
        // The only coloured one is the last: no width has to be known of it.
        columns.push(("STATE", Box::new(|_, model| state(model.drift))));
    }
    let mut table = headed(columns.iter().map(|(header, _)| *header));
    for (site, model) in rows {
        table.add_row(columns.iter().map(|(_, cell)| cell(site, model)));
    }
    if let Some(ages) = columns.iter().position(|(header, _)| *header == "AGE").and_then(|at| table.column_mut(at)) {
        ages.set_cell_alignment(CellAlignment::Right);
    }
    table::text(&table)
}

fn app_table(rows: &[(&SiteStatus, &AppStatus)]) -> String {
    let reported = rows.iter().any(|(_, app)| app.drift != Drift::Unreported);
    let mut table = headed(["SITE", "APPLICATION", "IMAGE", "DIGEST"].into_iter().chain(reported.then_some("STATE")));
    for (site, app) in rows {
        let wanted = &app.wanted;
        let cells =
            [site.site.to_string(), printable(&wanted.name, MAX_IMAGE), image(&wanted.image), digest(wanted.image.digest().copied())];
        table.add_row(cells.into_iter().chain(reported.then(|| state(app.drift))));
    }
    table::text(&table)
}

fn headed<'a>(header: impl Iterator<Item = &'a str>) -> Table {
    let mut table = columns([]);
    table.set_header(header);
    table
}

fn or_nothing(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| NOTHING.to_owned())
}

/// The name and the tag; the digest has a column of its own.
fn image(image: &Reference) -> String {
    let tag = image.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    printable(&format!("{}{tag}", image.name()), MAX_IMAGE)
}

fn digest(digest: Option<Digest>) -> String {
    digest.map_or_else(|| NOTHING.to_owned(), |digest| digest.short())
}

fn age(model: &ModelStatus, view: View) -> String {
    let age = model.wanted.as_ref().and_then(|wanted| view.age(wanted)).map(units::age);
    let mark = if view.is_old(model) { "!" } else { "" };
    age.map_or_else(|| NOTHING.to_owned(), |age| format!("{age}{mark}"))
}

fn signer(model: &ModelStatus) -> String {
    let arrival = model.wanted.as_ref().and_then(|wanted| wanted.arrival.as_ref());
    or_nothing(arrival.and_then(|arrival| arrival.signer.as_deref()).map(|signer| printable(signer, MAX_SIGNER)))
}

/// `10 % 0a1b2c3d4e5f`.
fn canaries(wanted: &Wanted) -> String {
    let each = wanted.canaries.iter().map(|canary| format!("{} % {}", canary.percent, digest(canary.placed.digest())));
    each.collect::<Vec<_>>().join(", ")
}

fn running(running: Option<&Running>) -> String {
    let digests = running.map(|running| running.digests.iter().map(Digest::short).collect::<Vec<_>>().join(", "));
    or_nothing(digests)
}

/// `1/2` pods, else what the service says.
fn ready(running: Option<&Running>) -> String {
    let Some(running) = running else { return NOTHING.to_owned() };
    match (running.pods, running.ready) {
        (Some((ready, all)), _) => format!("{ready}/{all}"),
        (None, Some(true)) => "yes".to_owned(),
        (None, Some(false)) => "no".to_owned(),
        (None, None) => NOTHING.to_owned(),
    }
}

fn state(drift: Drift) -> String {
    let style = match drift {
        Drift::InStep => Style::new().green(),
        Drift::Rolling => Style::new().cyan(),
        Drift::Drifted | Drift::NotRunning | Drift::Extra => Style::new().red().bold(),
        Drift::Unknown(_) | Drift::Unreported => Style::new().yellow(),
    };
    style.apply_to(drift).to_string()
}

/// `3 sites, 5 models: 4 in step, 1 drifted`.
pub fn summary(sites: &[SiteStatus]) -> String {
    let models: usize = sites.iter().map(|site| site.models.len()).sum();
    let states = states(sites);
    let reported = states.keys().any(|drift| *drift != Drift::Unreported.word());
    let listed = states.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ");
    let total = format!("{}, {}", units::count(sites.len(), "site"), units::count(models, "model"));
    if reported { format!("{total}: {listed}") } else { total }
}

fn states(sites: &[SiteStatus]) -> BTreeMap<&'static str, usize> {
    let mut states = BTreeMap::new();
    for model in sites.iter().flat_map(|site| &site.models) {
        *states.entry(model.drift.word()).or_default() += 1;
    }
    states
}

/// The same for scripts.
///
/// # Errors
/// Never for these values.
pub fn json(sites: &[SiteStatus], view: View) -> serde_json::Result<String> {
    let models: usize = sites.iter().map(|site| site.models.len()).sum();
    serde_json::to_string_pretty(&json!({
        "sites": sites.iter().map(|site| site_json(site, view)).collect::<Vec<_>>(),
        "summary": {"sites": sites.len(), "models": models, "states": states(sites)},
    }))
}

fn site_json(site: &SiteStatus, view: View) -> Value {
    json!({
        "site": site.site.as_str(),
        "ring": site.ring,
        "sync": site.sync,
        "problem": site.problem,
        "models": site.models.iter().map(|model| model_json(model, view)).collect::<Vec<_>>(),
        "apps": site.apps.iter().map(app_json).collect::<Vec<_>>(),
    })
}

fn model_json(model: &ModelStatus, view: View) -> Value {
    json!({
        "model": model.name,
        "state": model.drift.word(),
        "reason": reason(model.drift),
        "drift": model.drift.is_drift(),
        "old": view.is_old(model),
        "wanted": model.wanted.as_ref().map(|wanted| wanted_json(wanted, view)),
        "running": model.running.as_ref().map(running_json),
    })
}

fn reason(drift: Drift) -> Option<&'static str> {
    match drift {
        Drift::Unknown(why) => Some(why),
        _ => None,
    }
}

fn wanted_json(wanted: &Wanted, view: View) -> Value {
    let arrival = wanted.arrival.as_ref();
    let canaries = wanted.canaries.iter();
    let canaries = canaries.map(|canary| json!({"name": canary.name, "digest": canary.placed.digest(), "percent": canary.percent}));
    json!({
        "image": image(&wanted.image),
        "digest": wanted.digest,
        "commit": arrival.map(|arrival| arrival.commit.as_str()),
        "committed": arrival.map(|arrival| arrival.time.to_string()),
        "age_seconds": view.age(wanted),
        "signer": arrival.and_then(|arrival| arrival.signer.as_deref()),
        "canaries": canaries.collect::<Vec<_>>(),
    })
}

fn running_json(running: &Running) -> Value {
    let pods = running.pods.map(|(ready, total)| json!({"ready": ready, "total": total}));
    json!({"digests": running.digests, "pods": pods, "ready": running.ready})
}

fn app_json(app: &AppStatus) -> Value {
    json!({
        "app": app.wanted.name,
        "image": image(&app.wanted.image),
        "digest": app.wanted.image.digest(),
        "state": app.drift.word(),
        "reason": reason(app.drift),
        "drift": app.drift.is_drift(),
    })
}
