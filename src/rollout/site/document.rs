//! The text of a `site.yaml`, strictly: a member that is spelt wrong must not be a fact that is missed.

use std::collections::BTreeMap;
use std::path::{Component, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::{Mirror, SiteFacts, SiteTrust};
use crate::kserve::{Delivery, Generation, KserveError, Mode};
use crate::oci::Platform;
use crate::rollout::names::check_label;
use crate::trust::Consumer;

/// The most entries of a list.
const MAX_ENTRIES: usize = 100;
/// The longest value, in bytes.
const MAX_TEXT: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    version: u32,
    kserve: String,
    mode: Option<String>,
    delivery: Option<String>,
    style: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    runtimes: Vec<String>,
    #[serde(default)]
    mirrors: Vec<MirrorEntry>,
    disk: Option<String>,
    ring: Option<String>,
    nodes: Option<u32>,
    #[serde(default)]
    gpus: u32,
    #[serde(default)]
    exposed: bool,
    pull_secret: Option<String>,
    connection: Option<String>,
    #[serde(default)]
    verify: Verify,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MirrorEntry {
    source: String,
    mirror: String,
    #[serde(default)]
    rewrite: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    #[serde(default)]
    consumers: Vec<String>,
    policy: Option<String>,
    #[serde(default)]
    keys: Vec<String>,
}

/// Reads the text; the error is a reason that begins with the member's name.
pub(super) fn parse(text: &str) -> Result<SiteFacts, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 0, max_nodes: 4096, max_depth: 8 },
    };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| first_line(&error))?;
    file.check()
}

/// What is wrong and where; the picture of the place below it does not fit into an error's line.
fn first_line(error: &dyn std::error::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

impl File {
    fn check(self) -> Result<SiteFacts, String> {
        if self.version != 1 {
            return Err(format!("version: {} is not known, 1 is", self.version));
        }
        let generation: Generation = known("kserve", &self.kserve)?;
        let mode: Mode = self.mode.as_deref().map_or(Ok(Mode::default()), |text| known("mode", text))?;
        let delivery: Delivery = self.delivery.as_deref().map_or(Ok(Delivery::Modelcar), |text| known("delivery", text))?;
        generation.runs(mode).map_err(|error| told("mode", &error))?;
        generation.supports(delivery).map_err(|error| told("delivery", &error))?;
        for name in [&self.namespace, &self.pull_secret, &self.connection].into_iter().flatten().chain(&self.runtimes) {
            check_label("name", name).map_err(|error| error.to_string())?;
        }
        Ok(SiteFacts {
            generation,
            mode,
            delivery,
            style: self.style.as_deref().map(|text| known("style", text)).transpose()?,
            namespace: self.namespace,
            platforms: each("platforms", &self.platforms, platform)?,
            runtimes: each("runtimes", &self.runtimes, |name| Ok(name.to_owned()))?,
            mirrors: self.mirrors.into_iter().map(MirrorEntry::check).collect::<Result<_, _>>()?,
            disk: self.disk.map(|text| text.parse().map_err(|why| format!("disk: {why}"))).transpose()?,
            ring: self.ring.map(|text| text.parse().map_err(|error| format!("ring: {error}"))).transpose()?,
            nodes: self.nodes.unwrap_or(1),
            gpus: self.gpus,
            exposed: self.exposed,
            pull_secret: self.pull_secret,
            connection: self.connection,
            verify: self.verify.check()?,
            labels: self.labels,
        })
    }
}

impl MirrorEntry {
    fn check(self) -> Result<Mirror, String> {
        for text in [&self.source, &self.mirror] {
            let plain = !text.is_empty() && text.len() <= MAX_TEXT && !text.contains(['@', ' ']) && !text.contains("://");
            if !plain || text.ends_with('/') {
                return Err(format!("mirrors: `{text}` is not a registry with or without a path, such as quay.io/acme"));
            }
        }
        Ok(Mirror { source: self.source, mirror: self.mirror, rewrite: self.rewrite })
    }
}

impl Verify {
    fn check(self) -> Result<SiteTrust, String> {
        Ok(SiteTrust {
            consumers: each("verify.consumers", &self.consumers, |text| known::<Consumer>("verify.consumers", text))?,
            policy: self.policy.as_deref().map(|text| inside("verify.policy", text)).transpose()?,
            keys: each("verify.keys", &self.keys, |text| inside("verify.keys", text))?,
        })
    }
}

fn each<T>(member: &str, list: &[String], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    if list.len() > MAX_ENTRIES || list.iter().any(|text| text.is_empty() || text.len() > MAX_TEXT) {
        return Err(format!("{member}: at most {MAX_ENTRIES} entries of at most {MAX_TEXT} characters, none empty"));
    }
    list.iter().map(|text| read(text)).collect()
}

/// A word of the room below, with the words there are.
fn known<T: FromStr<Err = KserveError>>(member: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| told(member, &error))
}

fn told(member: &str, error: &KserveError) -> String {
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{member}: {error}{hint}")
}

/// `linux/amd64`, `linux/arm64/v8`.
fn platform(text: &str) -> Result<Platform, String> {
    let parts: Vec<_> = text.split('/').collect();
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    match parts[..] {
        ["linux", architecture] | ["linux", architecture, _] if parts.iter().all(|part| word(part)) => Ok(Platform::linux(architecture)),
        _ => Err(format!("platforms: `{text}` is not like linux/amd64")),
    }
}

/// A path that stays inside the GitOps folder.
fn inside(member: &str, text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let stays = path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
    if stays && !text.is_empty() { Ok(path) } else { Err(format!("{member}: `{text}` leaves the GitOps folder")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::Style;

    #[test]
    fn a_site_that_says_little_gets_what_every_kserve_has() {
        let facts = parse("version: 1\nkserve: rhoai-3.4\n").unwrap();
        assert_eq!((facts.generation, facts.mode, facts.delivery), (Generation::Rhoai3_4, Mode::Standard, Delivery::Modelcar));
        assert_eq!((facts.nodes, facts.gpus, facts.style), (1, 0, None));
    }

    #[test]
    fn reads_every_member() {
        let facts = parse(
            "version: 1\nkserve: rhoai-3.5\nmode: standard\ndelivery: native\nstyle: images\nnamespace: models\nplatforms: [linux/arm64]\n\
             runtimes: [kserve-ovms]\nmirrors:\n  - {source: quay.io/acme, mirror: 'edge:5000/acme', rewrite: true}\ndisk: 40Gi\n\
             ring: pilot\nnodes: 3\ngpus: 1\nexposed: true\npullSecret: quay\nconnection: oci\n\
             verify: {consumers: [openshift], policy: policy.yaml, keys: [keys/a.pub]}\nlabels: {region: north}\n",
        )
        .unwrap();
        let (image, digest) = ("quay.io/acme/iris:v1".parse().unwrap(), crate::oci::Digest::of(b"x"));
        assert_eq!(facts.pulled(&image, digest).to_string(), format!("edge:5000/acme/iris@{digest}"));
        let other = "quay.io/acmes/iris:v1".parse().unwrap();
        assert_eq!(facts.pulled(&other, digest).to_string(), format!("quay.io/acmes/iris@{digest}"));
        assert_eq!(facts.ring.unwrap().as_str(), "pilot");
        assert_eq!((facts.disk.unwrap().0, facts.style), (40 << 30, Some(Style::Images)));
    }

    #[test]
    fn refuses_with_the_members_name_what_it_cannot_read() {
        for (text, said) in [
            ("version: 2\nkserve: '0.20'", "version"),
            ("version: 1", "kserve"),
            ("version: 1\nkserve: '0.16'", "kserve: `0.16`"),
            ("version: 1\nkserve: '0.17'\ndelivery: native", "native came with"),
            ("version: 1\nkserve: '0.20'\nrings: pilot", "rings"),
            ("version: 1\nkserve: '0.20'\nmode: raw", "standard, knative"),
            ("version: 1\nkserve: rhoai-3.5\nmode: knative", "mode: OpenShift AI 3.5 has no mode `knative`"),
            ("version: 1\nkserve: '0.20'\ndisk: 40GB", "disk: a size"),
            ("version: 1\nkserve: '0.20'\nplatforms: [amd64]", "linux/amd64"),
            ("version: 1\nkserve: '0.20'\nverify: {keys: [../../etc/passwd]}", "leaves the GitOps folder"),
            ("version: 1\nkserve: '0.20'\nverify: {policy: /etc/policy.yaml}", "leaves the GitOps folder"),
            ("version: 1\nkserve: '0.20'\nmirrors: [{source: 'oci://quay.io', mirror: x}]", "mirrors: `oci://quay.io`"),
            ("version: 1\nkserve: '0.20'\nring: 'a b'", "ring"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
