//! What `ship` and `build` attest about the image they made, and in which form.

use std::collections::BTreeMap;
use std::path::Path;

use super::resolve::Found;
use super::stored::{self, Values};
use super::{CliError, model_attestation, options};
use crate::image::annotations::RUNTIME;
use crate::image::inspect::inspect;
use crate::image::{Built, Compression, Contents};
use crate::model::{HubOrigin, hub_origin};
use crate::oci::{Annotations, Digest, Location, Reference, Timestamp, printable};
use crate::report::{Ui, tekton, timed, units};
use crate::trust::attest::ci::{self, Builder};
use crate::trust::attest::cyclonedx::{self, Bom};
use crate::trust::attest::slsa::{self, BuildRecord, Parameters, Source};
use crate::trust::attest::{AttachedAs, AttestReport, AttestRequest, AttestationFormat, Predicate, Reach, attest};
use crate::trust::model_signing::ModelSigner;
use crate::trust::{InvalidPredicate, SignReport, Signer, TrustError};

/// What is attested about a new image.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Attestations")]
pub(super) struct AttestingArgs {
    /// What is attested about the signed image, separated by commas: sbom, provenance, model-signing; or none [default: all three]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', hide_possible_values = true)]
    attest: Vec<Companion>,
    #[command(flatten)]
    form: FormArgs,
    /// Whether how the image was built is attested here: `auto` leaves it to Tekton Chains where a Tekton task runs this
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    provenance: When,
    /// Who builds, as a URI [default: the CI system's name for the job's workflow or runner, else one that says "local"]
    #[arg(long, value_name = "URI", value_parser = uri)]
    builder_id: Option<String>,
    /// Where the model comes from, such as git+https://HOST/REPO@COMMIT [default: the Hugging Face repository, for a model in its cache]
    #[arg(long, value_name = "URI", value_parser = uri)]
    source_uri: Option<String>,
    /// A digest of that source, such as gitCommit:4f3c…; may be repeated
    #[arg(long, value_name = "ALGORITHM:HEX", value_parser = source_digest)]
    source_digest: Vec<(String, String)>,
}

/// In which form attestations are attached.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct FormArgs {
    /// bundle: for cosign 3, Kyverno, Conforma; att: the image that cosign 1 and 2 read; both
    #[arg(long, value_name = "FORM", default_value_t, value_parser = options::plain_word::<AttestationFormat>)]
    pub(super) attestation_format: AttestationFormat,
}

/// What can be attested without being asked for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Companion {
    /// The bill of materials, as CycloneDX
    Sbom,
    /// How the image was built, as SLSA provenance
    Provenance,
    /// A signature of the model's own files
    ModelSigning,
    /// Nothing
    None,
}

impl Companion {
    /// What is attested where nobody asks for anything.
    const DEFAULT: [Self; 3] = [Self::Sbom, Self::Provenance, Self::ModelSigning];

    fn name(self) -> &'static str {
        match self {
            Self::Sbom => "sbom",
            Self::Provenance => "provenance",
            Self::ModelSigning => "model-signing",
            Self::None => "none",
        }
    }
}

/// When provenance is attested here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum When {
    /// Outside of Tekton
    Auto,
    /// Also there
    Always,
    /// Nowhere
    Never,
}

/// An image that was signed a moment ago.
#[derive(Clone, Copy)]
pub(super) struct SignedImage<'a> {
    pub(super) found: &'a Found,
    pub(super) signer: &'a Signer,
    pub(super) signed: &'a SignReport,
    /// What its build tells about itself.
    pub(super) story: &'a Story,
}

/// What a build tells about itself.
pub(super) struct Story {
    pub(super) contents: Contents,
    pub(super) parameters: Parameters,
    /// Where the model comes from, if its folder tells.
    pub(super) origin: Option<HubOrigin>,
    pub(super) started: Timestamp,
}

impl Story {
    /// The story of an image that was just made.
    pub(super) fn of(built: &Built, model: &Path, parameters: Parameters, started: Timestamp) -> Result<Self, CliError> {
        Ok(Self { contents: Contents::of(built)?, parameters, origin: hub_origin(model), started })
    }

    /// The story of an image that is in a store already, as far as it tells it itself: who asked for what is in no image.
    pub(super) fn told(found: &Found, started: Timestamp) -> Result<Self, CliError> {
        let contents = Contents::read(found.store.as_ref(), &found.manifest)?;
        let inspection = inspect(found.store.as_ref(), &found.manifest)?;
        let said = |name: &str, usual: &str| contents.annotations.get(name).map_or_else(|| usual.to_owned(), |text| printable(text, 200));
        let packed = inspection.layers.iter().filter_map(|layer| Compression::of(&layer.media_type)).find(|how| *how != Compression::None);
        let parameters = Parameters {
            model: said("org.opencontainers.image.title", "model"),
            images: vec![name_of(&found.location)],
            platforms: inspection.platforms,
            base: said("org.opencontainers.image.base.name", "shell"),
            compression: packed.unwrap_or(Compression::None).to_string(),
            runtime: said(RUNTIME, "auto"),
            ..Parameters::default()
        };
        Ok(Self { contents, parameters, origin: None, started })
    }
}

impl AttestingArgs {
    /// Refuses what contradicts itself, before anything is done.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if self.attest.contains(&Companion::None) && self.attest.len() > 1 {
            return Err(CliError::usage("`--attest none` and something else", "write `--attest none` alone, or leave `none` out"));
        }
        Ok(())
    }

    /// Whether the user asks for anything by name.
    pub(super) fn is_asked(&self) -> bool {
        self.attest.iter().any(|companion| *companion != Companion::None)
    }

    /// Refuses a signer that cannot attest what the user asked for by name, before anything is done.
    pub(super) fn check_signer(&self, signer: &Signer) -> Result<(), CliError> {
        let impossible = !self.attest.is_empty() && self.wanted().any(|companion| !self.is_possible(companion, signer));
        if impossible { Ok(signer.ensure_bundles()?) } else { Ok(()) }
    }

    /// What will be attested, for people: `sbom, provenance and model-signing`. None if nothing.
    pub(super) fn plan(&self, signer: &Signer) -> Option<String> {
        let chosen: Vec<Companion> = self.wanted().filter(|companion| self.is_possible(*companion, signer)).collect();
        if chosen.is_empty() { None } else { Some(list(&chosen)) }
    }

    /// Attests what was asked for about the image, which is signed already.
    pub(super) fn attach(&self, ui: &Ui, image: &SignedImage<'_>) -> Result<AttestReport, CliError> {
        if self.leaves_to_chains() {
            ui.note("provenance is left to Tekton Chains, which watched the task; `--provenance always` attests it here too");
        }
        let (chosen, left_out): (Vec<_>, Vec<_>) = self.wanted().partition(|companion| self.is_possible(*companion, image.signer));
        if let (Err(error), false) = (image.signer.ensure_bundles(), left_out.is_empty()) {
            ui.warn(format!("not attested: {}: {error}", list(&left_out)));
        }
        let (models, stated): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|companion| *companion == Companion::ModelSigning);
        let report = self.state_what_fits(ui, image, &stated)?;
        if !models.is_empty() {
            self.sign_model(ui, image)?;
        }
        Ok(report)
    }

    /// The bill of materials of thousands of files fits into no attestation, and is left out where nobody asked for it.
    fn state_what_fits(&self, ui: &Ui, image: &SignedImage<'_>, what: &[Companion]) -> Result<AttestReport, CliError> {
        let has_bill = what.contains(&Companion::Sbom) && !self.attest.contains(&Companion::Sbom);
        match self.state(ui, image, what) {
            Err(CliError::Trust(TrustError::Predicate(error @ InvalidPredicate::TooLarge { .. }))) if has_bill => {
                ui.note(format!("no sbom is attached: {error}"));
                let rest: Vec<Companion> = what.iter().copied().filter(|companion| *companion != Companion::Sbom).collect();
                self.state(ui, image, &rest)
            }
            result => result,
        }
    }

    fn state(&self, ui: &Ui, image: &SignedImage<'_>, what: &[Companion]) -> Result<AttestReport, CliError> {
        if what.is_empty() {
            return Ok(AttestReport::default());
        }
        let SignedImage { found, signer, signed, story } = *image;
        let (report, time) = timed(|| {
            let predicates = self.predicates(found, story, what)?;
            attest_found(found, signer, &predicates, self.form.attestation_format, Reach::Named, Some(signed))
        })?;
        ui.step("attest", format!("{}: {}", list(what), summary(&report)), time);
        Ok(report)
    }

    /// A model that no signature can be about, such as one of ten thousand files, is shipped without where nobody asked for one.
    fn sign_model(&self, ui: &Ui, image: &SignedImage<'_>) -> Result<(), CliError> {
        match timed(|| model_attestation::attach(image.found, &ModelSigner::new(image.signer), image.signed)) {
            Ok((report, time)) => {
                ui.step("attest", format!("{}; {}", model_attestation::files(&report), model_attestation::summary(&report)), time);
            }
            Err(CliError::ModelSigning(error)) if error.is_about_the_model() && !self.attest.contains(&Companion::ModelSigning) => {
                ui.note(format!("no model signature is attached: {error}"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn predicates(&self, found: &Found, story: &Story, what: &[Companion]) -> Result<Vec<Predicate>, CliError> {
        let mut predicates = Vec::new();
        if what.contains(&Companion::Sbom) {
            predicates.push(Predicate::bill_of_materials(&bill(found, &story.contents, story.origin.as_ref()))?);
        }
        let bom = predicates.first().map(|bom| Digest::of(bom.json().get().as_bytes()));
        if what.contains(&Companion::Provenance) {
            predicates.push(Predicate::provenance(&slsa::provenance(&self.record(story, bom)?))?);
        }
        Ok(predicates)
    }

    fn record(&self, story: &Story, bom: Option<Digest>) -> Result<BuildRecord, CliError> {
        let said = Builder::detect(&|name| std::env::var(name).ok());
        let builder = match &self.builder_id {
            Some(id) => Builder { id: id.clone(), ..said },
            None => said,
        };
        Ok(BuildRecord {
            parameters: Parameters { source: self.source_uri.clone(), ..story.parameters.clone() },
            source: self.source(story.origin.as_ref(), story.contents.digest()),
            base: base(&story.contents.annotations),
            builder,
            started: story.started,
            finished: options::now()?,
            bom,
        })
    }

    /// Where a model of this content comes from: as the user says, else as its folder does.
    fn source(&self, origin: Option<&HubOrigin>, content: Digest) -> Source {
        let mut digests: BTreeMap<String, String> = self.source_digest.iter().cloned().collect();
        let hub = origin.filter(|_| self.source_uri.is_none());
        if let Some(origin) = hub {
            digests.entry("gitCommit".to_owned()).or_insert_with(|| origin.revision.clone());
        }
        Source { uri: self.source_uri.clone().or_else(|| hub.map(HubOrigin::purl)), content, digests }
    }

    /// What a Tekton task is told about an image that was made a moment ago, and about the model in it.
    pub(super) fn values(&self, location: &Location, built: &Built, origin: Option<&HubOrigin>) -> Result<Values, CliError> {
        let mut values = stored::stored(location, built.index())?;
        values.push((tekton::MODEL_ARTIFACT_INPUTS, stored::lineage(&self.source(origin, built.content))));
        Ok(values)
    }

    /// What the user asked for, or what there is where nobody asks.
    fn asked(&self) -> &[Companion] {
        if self.attest.is_empty() { &Companion::DEFAULT } else { &self.attest }
    }

    /// What is to be attested here, each once and in the order of messages.
    fn wanted(&self) -> impl Iterator<Item = Companion> {
        Companion::DEFAULT.into_iter().filter(|companion| self.is_wanted(*companion))
    }

    fn is_wanted(&self, companion: Companion) -> bool {
        self.asked().contains(&companion) && (companion != Companion::Provenance || self.attests_provenance())
    }

    /// Whether what would be written is no bundle, or the signer's bundle signature is beside it.
    fn is_possible(&self, companion: Companion, signer: &Signer) -> bool {
        let is_bundle = companion == Companion::ModelSigning || self.form.attestation_format.has(AttachedAs::Bundle);
        !is_bundle || signer.ensure_bundles().is_ok()
    }

    fn attests_provenance(&self) -> bool {
        self.provenance != When::Never && !self.leaves_to_chains()
    }

    fn leaves_to_chains(&self) -> bool {
        self.asked().contains(&Companion::Provenance) && self.provenance == When::Auto && ci::in_tekton(Path::new("/"))
    }
}

/// `sbom, provenance and model-signing`.
fn list(companions: &[Companion]) -> String {
    let names: Vec<&str> = companions.iter().map(|companion| companion.name()).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

/// The bill of materials of an image in a store.
pub(super) fn bill(found: &Found, contents: &Contents, origin: Option<&HubOrigin>) -> Bom {
    let reference = found.location.reference();
    let name = reference.as_ref().map_or_else(|| name_of(&found.location), Reference::name);
    let image = cyclonedx::ImageFacts { digest: found.manifest.digest(), reference: reference.as_ref() };
    cyclonedx::bom(&cyclonedx::Facts { name: &name, image: Some(image), contents, origin })
}

/// What an image is called, without the folder or file that it lies in: that is the builder's business, and no reader's.
pub(super) fn name_of(location: &Location) -> String {
    match (location.reference(), location.manifest_ref()) {
        (Some(reference), _) => reference.to_string(),
        (None, Some(name)) => name.to_string(),
        (None, None) => "model".to_owned(),
    }
}

/// The image below the model, where there is one that has a digest.
fn base(said: &Annotations) -> Option<(Option<Reference>, Digest)> {
    let digest = said.get("org.opencontainers.image.base.digest")?.parse().ok()?;
    Some((said.get("org.opencontainers.image.base.name").and_then(|name| name.parse().ok()), digest))
}

/// Attests an image in its open store.
pub(super) fn attest_found(
    found: &Found,
    signer: &Signer,
    predicates: &[Predicate],
    format: AttestationFormat,
    reach: Reach,
    just_signed: Option<&SignReport>,
) -> Result<AttestReport, CliError> {
    let name = found.location.reference().map(|reference| reference.name());
    let (store, manifest, name) = (found.store.as_ref(), found.manifest.clone(), name.as_deref());
    let report = attest(&AttestRequest { store, manifest, name, predicates, signer, format, reach, just_signed })?;
    found.store.commit()?;
    Ok(report)
}

/// `2 attestations added`, and that the bundle signature was, where it was.
pub(super) fn summary(report: &AttestReport) -> String {
    let mut parts: Vec<String> = signed_first(report.signatures_added()).into_iter().collect();
    match (report.added(), report.already_there()) {
        (0, _) => parts.push("already attested by this signer, nothing to add".to_owned()),
        (added, 0) => parts.push(format!("{} added", units::count(added, "attestation"))),
        (added, there) => parts.push(format!("{} added, {there} already there", units::count(added, "attestation"))),
    }
    parts.join("; ")
}

/// That bundle signatures had to be added before anything else, where they had to.
pub(super) fn signed_first(added: usize) -> Option<String> {
    let signatures = units::count(added, "bundle signature");
    (added > 0).then(|| format!("{signatures} added first, without which verifiers would find the image unsigned"))
}

fn uri(text: &str) -> Result<String, String> {
    let is_plain = text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && url::Url::parse(text).is_ok() {
        Ok(text.to_owned())
    } else {
        Err("expected a URI, such as https://HOST/PATH".to_owned())
    }
}

/// <https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md>
fn source_digest(text: &str) -> Result<(String, String), String> {
    let wrong = || "expected ALGORITHM:HEX, such as gitCommit:4f3c… or sha256:…".to_owned();
    let (algorithm, hex) = text.split_once(':').ok_or_else(wrong)?;
    let is_name = !algorithm.is_empty() && algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_hex = (8..=128).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_name && is_hex { Ok((algorithm.to_owned(), hex.to_ascii_lowercase())) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::PrivateKey;

    #[derive(clap::Parser)]
    struct Parsed {
        #[command(flatten)]
        attesting: AttestingArgs,
    }

    fn attesting(words: &[&str]) -> AttestingArgs {
        use clap::Parser as _;
        Parsed::parse_from(["x", "--provenance", "always"].iter().chain(words)).attesting
    }

    #[test]
    fn a_key_without_bundle_signatures_attests_only_beside_them() {
        let key = |name: &str| {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name);
            Signer::Key(PrivateKey::load(&file, &|| panic!("the key has no password")).unwrap())
        };
        let (p256, p384) = (key("p256.key"), key("p384.key"));
        for (words, of_p256, of_p384, refused) in [
            (&[][..], Some("sbom, provenance and model-signing"), None, false),
            (&["--attest", "none"], None, None, false),
            (&["--attest", "provenance,sbom,sbom"], Some("sbom and provenance"), None, true),
            (&["--attest", "model-signing", "--attestation-format", "att"], Some("model-signing"), None, true),
            (&["--attest", "sbom", "--attestation-format", "att"], Some("sbom"), Some("sbom"), false),
            (&["--attestation-format", "att"], Some("sbom, provenance and model-signing"), Some("sbom and provenance"), false),
            (&["--attestation-format", "both"], Some("sbom, provenance and model-signing"), None, false),
        ] {
            let args = attesting(words);
            assert_eq!(args.plan(&p256).as_deref(), of_p256, "{words:?}");
            assert_eq!(args.plan(&p384).as_deref(), of_p384, "{words:?}");
            assert!(args.check_signer(&p256).is_ok());
            assert_eq!(args.check_signer(&p384).is_err(), refused, "{words:?}");
        }
    }

    #[test]
    fn a_source_digest_is_an_algorithm_and_hexadecimal_digits() {
        assert_eq!(source_digest("gitCommit:ABCDEF01"), Ok(("gitCommit".to_owned(), "abcdef01".to_owned())));
        for text in ["", "abcdef01", ":abcdef01", "sha256:", "sha256:xyzxyzxyz", "sha 256:abcdef01", "sha256:abc"] {
            assert!(source_digest(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_images_name_does_not_tell_where_it_lies() {
        for (location, name) in [
            ("q.io/org/iris:v1", "q.io/org/iris:v1"),
            ("oci:/home/me/out:q.io/org/iris:v1", "q.io/org/iris:v1"),
            ("oci:/home/me/out:v1", "v1"),
            ("oci:/home/me/out", "model"),
            ("oci-archive:/home/me/out.tar:v1", "v1"),
        ] {
            assert_eq!(name_of(&location.parse().unwrap()), name);
        }
    }

    #[test]
    fn a_uri_has_a_scheme_and_no_spaces() {
        for text in ["https://e.com/x", "git+https://e.com/r@abc", "pkg:huggingface/o/n@1", "urn:x:y"] {
            assert!(uri(text).is_ok(), "{text}");
        }
        for text in ["", "e.com", "https://e com", "https://e.com/\n"] {
            assert!(uri(text).is_err(), "{text:?}");
        }
    }
}
