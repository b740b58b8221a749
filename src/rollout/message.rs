//! The commit message of a rollout: a subject and the preflight for people, trailers for `git log` and for finding the way back.

use std::collections::BTreeMap;

use super::SiteName;
use super::preflight::{Check, Preflight};
use crate::kserve::{Delivery, Generation};
use crate::oci::{Digest, Reference, printable};

/// The longest value of a trailer or row, in characters.
const MAX_TEXT: usize = 200;
/// The most trailers of one kind: what a thousand sites ran before stands in their list.
const MAX_TRAILERS: usize = 8;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A model runs another image.
    Run,
    /// A new version gets a part of the requests, in percent.
    Canary(u8),
    /// A canary becomes the stable version.
    Promote,
    /// An earlier image is back.
    RollBack,
    /// The canary is taken away.
    EndCanary,
    /// An application has another image.
    App,
}

/// One site of a change.
#[derive(Clone, Debug)]
pub struct SiteNote {
    /// The site.
    pub site: SiteName,
    /// What it runs now; `None` where no image changed.
    pub image: Option<Reference>,
    /// What it ran before.
    pub old_digest: Option<Digest>,
    /// How the model comes into the pod, on which KServe; for models.
    pub delivery: Option<(Delivery, Generation)>,
    /// How it came before.
    pub old_delivery: Option<Delivery>,
    /// Who signed the image: hints of keys, identities.
    pub signers: Vec<String>,
    /// What was asked before.
    pub preflight: Preflight,
}

/// What a commit tells.
#[derive(Clone, Copy, Debug)]
pub struct ChangeNote<'a> {
    /// What was done.
    pub deed: Deed,
    /// The model or application.
    pub name: &'a str,
    /// The wave, of a change of many sites: `ring pilot`.
    pub wave: Option<&'a str>,
    /// The sites; at least one.
    pub sites: &'a [SiteNote],
}

/// The message: `sites/SITE: NAME TAG (sha256:…)`, what was asked before, and the facts as git trailers.
pub fn commit_message(note: &ChangeNote<'_>) -> String {
    let body = if note.wave.is_some() { note.of_many() } else { note.of_one() };
    let parts = [note.subject(), body.join("\n"), note.trailers().join("\n")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n") + "\n"
}

impl ChangeNote<'_> {
    fn subject(&self) -> String {
        let (name, image) = (self.name, self.image());
        let what = match self.deed {
            Deed::Run => format!("{name}{image}"),
            Deed::Canary(percent) => format!("canary {percent} % {name}{image}"),
            Deed::Promote => format!("promote {name}{image}"),
            Deed::RollBack => format!("roll back {name}{}", if image.is_empty() { image } else { format!(" to{image}") }),
            Deed::EndCanary => format!("take the canary of {name} away"),
            Deed::App => format!("app {name}{image}"),
        };
        let sites = if self.sites.len() == 1 { "1 site".to_owned() } else { format!("{} sites", self.sites.len()) };
        match (self.wave, self.sites.first()) {
            (None, Some(only)) => format!("sites/{}: {what}", only.site),
            (wave, _) => one_line(&format!("{}: {what} on {sites}", wave.unwrap_or("sites"))),
        }
    }

    /// ` v2 (sha256:…)`; nothing where sites go to different images.
    fn image(&self) -> String {
        let images = self.distinct(|site| site.image.as_ref().map(ToString::to_string));
        let first = self.sites.first().and_then(|site| site.image.as_ref()).filter(|_| images.len() == 1);
        let Some(image) = first else { return String::new() };
        let tag = image.tag().map(|tag| format!(" {tag}")).unwrap_or_default();
        tag + &image.digest().map(|digest| format!(" (sha256:{})", digest.short())).unwrap_or_default()
    }

    fn of_one(&self) -> Vec<String> {
        let rows = self.sites.iter().flat_map(|site| &site.preflight.rows);
        let line = |check: Check, word: &str, detail: &str| format!("  {check:<9} {word:<7} {detail}").trim_end().to_owned();
        let rows: Vec<_> = rows.map(|row| line(row.check, row.outcome.word(), &one_line(row.outcome.detail()))).collect();
        headed("Preflight:", rows)
    }

    fn of_many(&self) -> Vec<String> {
        let before = |old: Digest| format!(", before sha256:{}", old.short());
        let to = |site: &SiteNote| site.image.as_ref().and_then(|image| Some(format!(" sha256:{}", image.digest()?.short())));
        let site = |site: &SiteNote| {
            let to = to(site).unwrap_or_default();
            format!("  {}{to}{}", site.site, site.old_digest.map(before).unwrap_or_default())
        };
        let mut lines = headed("Sites:", self.sites.iter().map(site).collect());
        lines.push(String::new());
        lines.extend(headed("Preflight:", self.counted()));
        lines
    }

    /// How often each row had each outcome.
    fn counted(&self) -> Vec<String> {
        let line = |check: &Check| {
            let mut words: BTreeMap<&str, usize> = BTreeMap::new();
            for row in self.sites.iter().flat_map(|site| &site.preflight.rows).filter(|row| row.check == *check) {
                *words.entry(row.outcome.word()).or_default() += 1;
            }
            let counts: Vec<_> = words.into_iter().map(|(word, count)| format!("{word} on {count}")).collect();
            (!counts.is_empty()).then(|| format!("  {check:<9} {}", counts.join(", ")))
        };
        Check::ALL.iter().filter_map(line).collect()
    }

    fn trailers(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut add = |key: &str, values: Vec<String>| {
            let few = values.iter().filter(|_| values.len() <= MAX_TRAILERS);
            all.extend(few.map(|value| format!("{key}: {}", one_line(value))));
        };
        add(
            if self.deed == Deed::App { "App-Image" } else { "Model-Image" },
            self.distinct(|site| site.image.as_ref().map(ToString::to_string)),
        );
        add("Previous-Digest", self.distinct(|site| site.old_digest.map(|digest| digest.to_string())));
        let signers = |site: &SiteNote| (!site.signers.is_empty()).then(|| site.signers.join(", "));
        add("Signed-With", self.distinct(signers));
        add("Delivery", self.distinct(|site| site.delivery.map(|(delivery, generation)| format!("{delivery} ({generation})"))));
        let moved = |site: &SiteNote| site.old_delivery.filter(|old| site.delivery.is_some_and(|(now, _)| now != *old));
        add("Previous-Delivery", self.distinct(|site| moved(site).map(|old| old.to_string())));
        let canary = match self.deed {
            Deed::Canary(percent) => vec![format!("{percent} %")],
            Deed::EndCanary => vec!["none".to_owned()],
            _ => Vec::new(),
        };
        add("Canary", canary);
        let mut forced: Vec<Check> = self.sites.iter().flat_map(|site| site.preflight.forced_checks()).collect();
        forced.sort_by_key(|check| check.name());
        forced.dedup();
        let forced: Vec<_> = forced.into_iter().map(Check::name).collect();
        add("Forced", if forced.is_empty() { Vec::new() } else { vec![forced.join(", ")] });
        all
    }

    /// What sites say, each thing once.
    fn distinct(&self, of: impl Fn(&SiteNote) -> Option<String>) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for value in self.sites.iter().filter_map(of) {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        all
    }
}

fn headed(head: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { lines } else { [head.to_owned()].into_iter().chain(lines).collect() }
}

/// Words come from registries and keys; a line break in them could forge a trailer.
fn one_line(text: &str) -> String {
    printable(text, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::preflight::Outcome;

    fn site(name: &str, image: &str, old: Option<&str>) -> SiteNote {
        let image: Reference = image.parse().unwrap();
        SiteNote {
            site: name.parse().unwrap(),
            image: Some(image.pinned(Digest::of(b"new"))),
            old_digest: old.map(|text| Digest::of(text.as_bytes())),
            delivery: Some((Delivery::Native, Generation::Rhoai3_5)),
            old_delivery: Some(Delivery::Modelcar),
            signers: vec!["3f2a".to_owned()],
            preflight: Preflight::default(),
        }
    }

    fn message(deed: Deed, wave: Option<&str>, sites: &[SiteNote]) -> String {
        commit_message(&ChangeNote { deed, name: "iris", wave, sites })
    }

    #[test]
    fn names_model_digests_and_signer() {
        let (new, old) = (Digest::of(b"new"), Digest::of(b"old"));
        let expected = format!(
            "sites/edge-01: iris v2 (sha256:{})\n\nModel-Image: quay.io/acme/iris:v2@{new}\nPrevious-Digest: {old}\n\
             Signed-With: 3f2a\nDelivery: native (OpenShift AI 3.5)\nPrevious-Delivery: modelcar\n",
            new.short()
        );
        assert_eq!(message(Deed::Run, None, &[site("edge-01", "quay.io/acme/iris:v2", Some("old"))]), expected);
    }

    #[test]
    fn the_subject_says_what_was_done() {
        let digest = format!("(sha256:{})", Digest::of(b"new").short());
        for (deed, expected) in [
            (Deed::Canary(10), format!("sites/a: canary 10 % iris v2 {digest}")),
            (Deed::Promote, format!("sites/a: promote iris v2 {digest}")),
            (Deed::RollBack, format!("sites/a: roll back iris to v2 {digest}")),
            (Deed::EndCanary, "sites/a: take the canary of iris away".to_owned()),
            (Deed::App, format!("sites/a: app iris v2 {digest}")),
        ] {
            let message = message(deed, None, &[site("a", "quay.io/acme/iris:v2", None)]);
            assert_eq!(message.lines().next(), Some(expected.as_str()));
        }
    }

    #[test]
    fn a_row_per_line_and_what_was_forced_as_a_trailer() {
        let mut one = site("a", "quay.io/acme/iris:v2", None);
        one.preflight.add(Check::Resolve, Outcome::Passed("v2 is sha256:1".to_owned()));
        one.preflight.add(Check::Signature, Outcome::Forced { what: "nobody\nSigned-With: mallory".to_owned() });
        let message = message(Deed::Run, None, &[one]);
        assert!(
            message.contains("\n\nPreflight:\n  resolve   passed  v2 is sha256:1\n  signature forced  nobody\u{fffd}Signed-With"),
            "{message}"
        );
        assert!(message.ends_with("\nForced: signature\n"), "{message}");
    }

    #[test]
    fn a_wave_lists_its_sites_and_counts_its_rows() {
        let mut sites = vec![site("a", "quay.io/acme/iris:v2", Some("one")), site("b", "quay.io/acme/iris:v2", Some("two"))];
        for (site, outcome) in sites.iter_mut().zip([Outcome::Passed(String::new()), Outcome::Skipped(String::new())]) {
            site.preflight.add(Check::Disk, outcome);
        }
        let message = message(Deed::Run, Some("ring pilot"), &sites);
        let (new, one) = (Digest::of(b"new").short(), Digest::of(b"one").short());
        assert!(
            message
                .starts_with(&format!("ring pilot: iris v2 (sha256:{new}) on 2 sites\n\nSites:\n  a sha256:{new}, before sha256:{one}\n"))
        );
        assert!(message.contains("\n  disk      passed on 1, skipped on 1\n"), "{message}");
        assert_eq!(message.matches("Model-Image:").count(), 1);
    }

    #[test]
    fn lets_no_signer_forge_a_trailer() {
        let mut one = site("edge-01", "quay.io/acme/iris:v2", None);
        one.signers = vec!["mallory\nPrevious-Digest: sha256:0\u{2028}Forced: no".to_owned()];
        let message = message(Deed::Run, None, &[one]);
        assert!(!message.lines().any(|line| line.starts_with("Previous-Digest") || line.starts_with("Forced")), "{message}");
    }
}
