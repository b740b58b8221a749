//! The fleet in Prometheus' text format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{Display, Write as _};

use crate::oci::printable;
use crate::rollout::status::{ModelStatus, SiteStatus};

/// The longest value of a label, in characters.
const MAX_VALUE: usize = 512;

/// All of it; families without a sample are left out.
pub fn text(sites: &[SiteStatus]) -> String {
    let mut text = String::new();
    readable(&mut text, sites);
    info(&mut text, sites);
    canaries(&mut text, sites);
    committed(&mut text, sites);
    drift(&mut text, sites);
    ready(&mut text, sites);
    apps(&mut text, sites);
    text
}

/// A metric with its samples in the making.
struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    help: &'static str,
    is_begun: bool,
}

impl<'a> Family<'a> {
    fn new(text: &'a mut String, name: &'static str, help: &'static str) -> Self {
        Self { text, name, help, is_begun: false }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        if !self.is_begun {
            let _ = write!(self.text, "# HELP {0} {1}\n# TYPE {0} gauge\n", self.name, self.help);
            self.is_begun = true;
        }
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(self.text, "{}{{{}}} {value}", self.name, labels.join(","));
    }
}

/// Backslash, quote and line feed have escapes; other controls have none and are replaced.
fn escaped(value: &str) -> String {
    printable(value, MAX_VALUE).replace('\\', "\\\\").replace('"', "\\\"")
}

/// The labels that every sample of a model begins with.
fn labels<'a>(site: &'a SiteStatus, model: &'a ModelStatus) -> [(&'static str, &'a str); 3] {
    [("site", site.site.as_str()), ("ring", site.ring.as_deref().unwrap_or_default()), ("model", &model.name)]
}

fn models(sites: &[SiteStatus]) -> impl Iterator<Item = (&SiteStatus, &ModelStatus)> {
    sites.iter().flat_map(|site| site.models.iter().map(move |model| (site, model)))
}

fn readable(text: &mut String, sites: &[SiteStatus]) {
    let mut family = Family::new(text, "modelcar_site_readable", "Whether the folder of the site could be read.");
    for site in sites {
        let ring = site.ring.as_deref().unwrap_or_default();
        family.sample(&[("site", site.site.as_str()), ("ring", ring)], u8::from(site.problem.is_none()));
    }
}

fn info(text: &mut String, sites: &[SiteStatus]) {
    let mut family = Family::new(text, "modelcar_site_model_info", "What Git says that the site runs, and who signed it.");
    for (site, model) in models(sites) {
        let Some(wanted) = &model.wanted else { continue };
        let tag = wanted.image.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
        let image = format!("{}{tag}", wanted.image.name());
        let digest = wanted.digest.map(|digest| digest.to_string()).unwrap_or_default();
        let signer = wanted.arrival.as_ref().and_then(|arrival| arrival.signer.as_deref()).unwrap_or_default();
        let own = [("image", image.as_str()), ("digest", &digest), ("signer", signer)];
        family.sample(&[&labels(site, model)[..], &own].concat(), 1);
    }
}

fn canaries(text: &mut String, sites: &[SiteStatus]) {
    let mut family = Family::new(text, "modelcar_site_model_canary_percent", "The part of the requests that a canary gets, in percent.");
    for (site, model) in models(sites) {
        for canary in model.wanted.iter().flat_map(|wanted| &wanted.canaries) {
            let digest = canary.placed.digest().map(|digest| digest.to_string()).unwrap_or_default();
            let own = [("canary", canary.name.as_str()), ("digest", &digest)];
            family.sample(&[&labels(site, model)[..], &own].concat(), canary.percent);
        }
    }
}

fn committed(text: &mut String, sites: &[SiteStatus]) {
    let mut family =
        Family::new(text, "modelcar_site_model_committed_timestamp_seconds", "When the commit was made that brought the digest.");
    for (site, model) in models(sites) {
        if let Some(arrival) = model.wanted.as_ref().and_then(|wanted| wanted.arrival.as_ref()) {
            family.sample(&labels(site, model), arrival.time.seconds());
        }
    }
}

fn drift(text: &mut String, sites: &[SiteStatus]) {
    let help = "Whether something else runs than Git says, nothing at all, or something that Git does not know.";
    let mut family = Family::new(text, "modelcar_site_model_drift", help);
    for (site, model) in models(sites) {
        if let Some(drift) = model.drift.is_drift() {
            family.sample(&labels(site, model), u8::from(drift));
        }
    }
}

fn ready(text: &mut String, sites: &[SiteStatus]) {
    let mut family = Family::new(text, "modelcar_site_model_running_ready", "Whether everything that runs of the model takes requests.");
    for (site, model) in models(sites) {
        let Some(running) = &model.running else { continue };
        let pods = running.pods.map(|(ready, all)| ready == all);
        if let Some(ready) = pods.or(running.ready) {
            family.sample(&labels(site, model), u8::from(ready));
        }
    }
}

fn apps(text: &mut String, sites: &[SiteStatus]) {
    let all = || sites.iter().flat_map(|site| site.apps.iter().map(move |app| (site, app)));
    let mut family = Family::new(text, "modelcar_site_app_info", "What Git says of an application.");
    for (site, app) in all() {
        let digest = app.wanted.image.digest().map(ToString::to_string).unwrap_or_default();
        let (ring, image) = (site.ring.as_deref().unwrap_or_default(), app.wanted.image.name());
        family
            .sample(&[("site", site.site.as_str()), ("ring", ring), ("app", &app.wanted.name), ("image", &image), ("digest", &digest)], 1);
    }
    let mut family = Family::new(text, "modelcar_site_app_drift", "Whether another image of the application runs than Git says.");
    for (site, app) in all() {
        let ring = site.ring.as_deref().unwrap_or_default();
        if let Some(drift) = app.drift.is_drift() {
            family.sample(&[("site", site.site.as_str()), ("ring", ring), ("app", &app.wanted.name)], u8::from(drift));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_ends_its_line_or_its_quotes() {
        assert_eq!(escaped("a\"b\\c\nd\re\u{1b}[2J"), "a\\\"b\\\\c\u{fffd}d\u{fffd}e\u{fffd}[2J");
        assert_eq!(escaped(&"x".repeat(1000)).chars().count(), MAX_VALUE + 1);
    }

    #[test]
    fn a_family_without_samples_says_nothing() {
        let mut text = String::new();
        Family::new(&mut text, "a", "b");
        assert_eq!(text, "");
        let mut family = Family::new(&mut text, "a", "b.");
        family.sample(&[("x", "1")], 1);
        family.sample(&[("x", "2")], 0);
        assert_eq!(text, "# HELP a b.\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 0\n");
    }
}
