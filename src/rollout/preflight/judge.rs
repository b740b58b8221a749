//! From facts to answers. Nothing here asks anybody anything.

use crate::image::annotations::{FACT_PREFIX, FORMAT};
use crate::kserve::{ByRealPath, CanaryWay, Delivery, Generation, Mode, Runtime, ThroughLink};
use crate::oci::{Annotations, Digest, Platform, Reference, printable};
use crate::rollout::service::check_layout;
use crate::rollout::{ByteSize, CanaryBy, CanaryRequest, RolloutError, Service, ServiceName, SiteFacts};
use crate::trust::Consumer;

use super::{Check, Outcome};

/// The longest words of strangers in an answer, in characters.
const MAX_TEXT: usize = 300;
/// The longest DNS label.
const MAX_LABEL: usize = 63;
/// What KServe puts between a service's name and its namespace in the name of the predictor's host.
const PREDICTOR: &str = "-predictor-";

/// An image as a registry shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// Its name, with the tag that was asked for and the digest it has.
    pub image: Reference,
    /// Its platforms.
    pub platforms: Vec<Platform>,
    /// The bytes of all layers, as they are stored.
    pub size: u64,
    /// Whether layers are compressed, so that they take more room than [`Self::size`] once they are unpacked.
    pub is_packed: bool,
    /// What its index, or its only manifest, says about the model.
    pub annotations: Annotations,
}

/// What a mirror of the site answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorFacts {
    /// The image's name there.
    pub name: String,
    /// Whether it is there; what went wrong where that could not be asked.
    pub has: Result<bool, String>,
}

/// What is known of the signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureFacts {
    /// Nobody is named whose signature counts.
    Nobody,
    /// They were looked at.
    Judged {
        /// Who was asked.
        consumers: Vec<Consumer>,
        /// Who of the trusted signed: hints of keys, holders of certificates.
        signers: Vec<String>,
        /// What is objected to.
        refusals: Vec<String>,
        /// What to do about the first.
        fix: Option<String>,
    },
}

/// Does the tag lead to a digest, and do the site's mirrors have it?
pub fn resolve(image: &Reference, digest: Digest, mirrors: &[MirrorFacts]) -> Outcome {
    let named = image.tag().map_or_else(|| "the digest is there".to_owned(), |tag| format!("{tag} is sha256:{}", digest.short()));
    if let Some(mirror) = mirrors.iter().find(|mirror| mirror.has == Ok(false)) {
        let fix = format!("mirror it first: `modelcar copy {} {}`", image.at(digest), mirror.name);
        return Outcome::failed(format!("{named}, and {} does not have it", mirror.name), fix);
    }
    let told = mirrors.iter().map(|mirror| match &mirror.has {
        Ok(_) => format!("; {} has it", mirror.name),
        Err(why) => format!("; {} was not asked: {}", mirror.name, printable(why, MAX_TEXT)),
    });
    Outcome::Passed(told.fold(named, |text, more| text + &more))
}

/// The registry does not have the image.
pub fn missing(image: &Reference) -> Outcome {
    let what = image.manifest_ref().map(|at| at.to_string()).unwrap_or_default();
    let fix = format!("push it first, or look for its name: `skopeo list-tags docker://{}`", image.name());
    Outcome::failed(format!("{} has no `{what}`", image.name()), fix)
}

/// Would the site's consumers accept the signatures and attestations?
pub fn signature(facts: &SignatureFacts) -> Outcome {
    let (consumers, signers, refusals, fix) = match facts {
        SignatureFacts::Nobody => {
            return Outcome::failed("nobody is named whose signature counts", "`--key cosign.pub`, or verify.keys in the site's site.yaml");
        }
        SignatureFacts::Judged { consumers, signers, refusals, fix } => (consumers, signers, refusals, fix),
    };
    match &refusals[..] {
        [] => {
            let names: Vec<_> = consumers.iter().map(ToString::to_string).collect();
            let by: Vec<_> = signers.iter().map(|signer| printable(signer, MAX_TEXT)).collect();
            Outcome::Passed(format!("{} by {}", names.join(", "), by.join(", ")))
        }
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            let fix = fix.clone().unwrap_or_else(|| "`modelcar verify` tells more".to_owned());
            Outcome::failed(format!("{}{more}", printable(first, MAX_TEXT)), fix)
        }
    }
}

/// Is there an image for the site's nodes?
pub fn platform(site: &[Platform], image: &[Platform]) -> Outcome {
    if site.is_empty() {
        return Outcome::Skipped("site.yaml names no platforms".to_owned());
    }
    let fits = |wanted: &Platform, own: &Platform| {
        let variant = wanted.variant.is_none() || wanted.variant == own.variant;
        wanted.os == own.os && wanted.architecture == own.architecture && variant
    };
    let missing: Vec<_> = site.iter().filter(|wanted| !image.iter().any(|own| fits(wanted, own))).map(ToString::to_string).collect();
    if missing.is_empty() {
        return Outcome::Passed(list(site));
    }
    let there = if image.is_empty() { "no platform at all".to_owned() } else { list(image) };
    let fix = format!("build it with `--platform {}`", site.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    Outcome::failed(format!("no image for {}; there is {}", missing.join(", "), printable(&there, MAX_TEXT)), fix)
}

/// Does the site's KServe have the delivery?
pub fn delivery(generation: Generation, delivery: Delivery) -> Outcome {
    match generation.supports(delivery) {
        Ok(()) => Outcome::Passed(format!("{delivery} on {generation}")),
        Err(error) => Outcome::failed(error.to_string(), error.hint().unwrap_or_default()),
    }
}

/// Can a ServingRuntime of the site load the format? `named` is the ServingRuntime that the built service names.
pub fn runtime(service: &Service, annotations: &Annotations, site: Option<&SiteFacts>, named: Option<&str>) -> Outcome {
    if !annotations.contains_key(FORMAT) {
        return Outcome::Skipped("the image does not say what format its model has".to_owned());
    }
    let named = named.or(service.runtime.as_deref());
    let present = site.map(|facts| facts.runtimes.as_slice()).unwrap_or_default();
    if let Some(outcome) = absent(service, present, named) {
        return outcome;
    }
    if let Some(Err(error)) = named.map(|name| check_layout(name, service.layout)) {
        return Outcome::failed(error.to_string(), error.hint().unwrap_or_default());
    }
    let format = printable(&service.format.name, MAX_TEXT);
    let server = named.map_or_else(|| "the one that KServe selects".to_owned(), str::to_owned);
    match through_link(service, annotations, named) {
        ThroughLink::Opens => Outcome::Passed(format!("{format} by {server}")),
        ThroughLink::Depends(which) => Outcome::Passed(format!("{format} by {server}; through the modelcar link not by {which}")),
        ThroughLink::Fails(which) => {
            let fix = "deliver it with `native` or `fetch` where the site's KServe has it, or build it again: \
                       `--onnx-external inline` puts weights into the model";
            Outcome::failed(format!("{which} does not open this {format} model through the modelcar link"), fix)
        }
    }
}

/// A ServingRuntime that the site does not list.
fn absent(service: &Service, present: &[String], named: Option<&str>) -> Option<Outcome> {
    let named = named.filter(|name| !present.is_empty() && !present.iter().any(|there| there == name))?;
    let reads = |name: &&String| Runtime::behind(name).zip(service.layout).is_some_and(|(server, layout)| server.reads_folders_of(layout));
    let fix = match present.iter().find(reads) {
        Some(other) => format!("`--serving-runtime {other}` reads the same folders"),
        None => "apply the ServingRuntime there, then list it in site.yaml; or build the image for one of those".to_owned(),
    };
    Some(Outcome::failed(format!("the site has no ServingRuntime `{named}`; it has {}", present.join(", ")), fix))
}

/// What is known of opening this model through the link that delivery `modelcar` makes.
fn through_link(service: &Service, annotations: &Annotations, named: Option<&str>) -> ThroughLink {
    let what = match service.format.name.as_str() {
        "xgboost" => Some(ByRealPath::Xgboost),
        _ if annotations.contains_key(&format!("{FACT_PREFIX}external-data")) => Some(ByRealPath::OnnxExternalData),
        _ => None,
    };
    let server = named.and_then(Runtime::behind).or(service.layout);
    match (what, server) {
        (Some(what), Some(server)) if service.delivery == Delivery::Modelcar => server.through_link(what, Some(service.generation)),
        _ => ThroughLink::Opens,
    }
}

/// The row that an error of a plan belongs to; `None` where it is about the folder.
pub fn row_of(error: &RolloutError) -> Option<(Check, Outcome)> {
    let check = match error {
        RolloutError::Kserve(_) => Check::Delivery,
        RolloutError::RuntimeNeeded { .. }
        | RolloutError::RuntimeMismatch { .. }
        | RolloutError::MlserverNative { .. }
        | RolloutError::BadFormat { .. }
        | RolloutError::BadArgument { .. } => Check::Runtime,
        RolloutError::Canary(_) => Check::Canary,
        RolloutError::InvalidName { .. } => Check::Name,
        _ => return None,
    };
    Some((check, Outcome::failed(error.to_string(), error.hint().unwrap_or_default())))
}

/// What a site is like for a canary.
#[derive(Clone, Copy, Debug)]
pub struct CanaryGround {
    /// Its KServe.
    pub generation: Generation,
    /// How that runs services.
    pub mode: Mode,
    /// How many nodes it has, where that is known.
    pub nodes: Option<u32>,
    /// How many GPUs a node has.
    pub gpus: u32,
    /// Whether the model is there already.
    pub runs: bool,
}

/// Can the site's KServe split requests that way?
pub fn canary(request: Option<CanaryRequest>, ground: &CanaryGround) -> Outcome {
    let Some(request) = request else { return Outcome::Skipped("none is asked for".to_owned()) };
    if !ground.runs {
        return Outcome::failed("the site does not run the model yet, so there is nothing to split from", "leave out `--canary`");
    }
    match (ground.generation.canary(ground.mode), request.by) {
        (CanaryWay::Route, CanaryBy::Kserve) => {
            let what = format!("{} splits no requests in mode `{}`", ground.generation, ground.mode);
            let fix =
                "`--canary-by route` weighs a Route over a second InferenceService; or leave out `--canary`: rolling back is one commit";
            Outcome::failed(what + &price(ground), fix)
        }
        (CanaryWay::Percent, CanaryBy::Kserve) => Outcome::Passed(format!("{} % by canaryTrafficPercent", request.percent)),
        (CanaryWay::List, CanaryBy::Kserve) if request.percent == 0 => Outcome::Passed("0 % by spec.canary, no pod yet".to_owned()),
        (CanaryWay::List, CanaryBy::Kserve) => Outcome::Passed(format!("{} % by spec.canary{}", request.percent, price(ground))),
        (_, CanaryBy::Route) => Outcome::Passed(format!("{} % by a weighted route{}", request.percent, price(ground))),
    }
}

/// What a second pod means for a small site (kserve.md: any share of one replica is a whole pod more).
fn price(ground: &CanaryGround) -> String {
    match (ground.nodes, ground.gpus) {
        (Some(1), 1) => "; the only node has one GPU, so a second pod has to wait for it".to_owned(),
        (Some(1), _) => "; on the only node it takes a second pod's memory".to_owned(),
        _ => String::new(),
    }
}

/// Do the old and the new image fit on the site's disk? Both lie there while pods change over.
pub fn disk(image: &ImageFacts, budget: Option<ByteSize>) -> Outcome {
    let Some(budget) = budget else { return Outcome::Skipped("site.yaml names no disk".to_owned()) };
    let need = image.size.saturating_mul(2);
    let at_least = if image.is_packed { "at least " } else { "" };
    let what = format!("twice {at_least}{} of {budget}", size(image.size));
    if need <= budget.0 {
        return Outcome::Passed(what);
    }
    Outcome::failed(
        format!("{what}: old and new image lie there together"),
        "a larger disk (`disk` in site.yaml), or a smaller model (quantised, fewer files)",
    )
}

/// Is the name a DNS label that leaves room for KServe's own words?
pub fn name(model: &ServiceName, namespace: Option<&str>) -> Outcome {
    let Some(namespace) = namespace else { return Outcome::Passed(model.to_string()) };
    let host = model.as_str().len() + PREDICTOR.len() + namespace.len();
    if host <= MAX_LABEL {
        return Outcome::Passed(format!("{model} in {namespace}"));
    }
    let room = MAX_LABEL.saturating_sub(PREDICTOR.len() + namespace.len());
    Outcome::failed(
        format!("the host {model}{PREDICTOR}{namespace} has {host} characters, and a DNS label has at most {MAX_LABEL}"),
        if room == 0 { "a shorter namespace".to_owned() } else { format!("a name of at most {room} characters: `--name NAME`") },
    )
}

fn list(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Bytes as `disk` is written, rounded up.
fn size(bytes: u64) -> String {
    let units = [("Gi", 1_u64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    let unit = units.into_iter().find(|(_, unit)| bytes >= unit.saturating_mul(10));
    unit.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes.div_ceil(unit)))
}

#[cfg(test)]
mod tests;
