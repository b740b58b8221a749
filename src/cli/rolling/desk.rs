//! What registries say, asked once however many sites want to know.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::super::resolve::Found;
use super::super::settings::Verify;
use super::super::{CliError, policy, verify};
use super::RollingArgs;
use crate::image::Watch;
use crate::image::inspect::inspect;
use crate::oci::{Digest, Location, ManifestRef, Reference, Timestamp, media_type};
use crate::rollout::preflight::{ImageFacts, MirrorFacts, SignatureFacts};
use crate::rollout::{Site, refuse_links};
use crate::store::Access;
use crate::trust::{
    AttestationKind, Consumer, KeySource, Policy, Proof, PublicKey, SignedBy, Trusted, Verdict, VerifyReport, VerifyRequest,
    verify as examine,
};

/// The largest key or policy that is looked at, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// An image that was found.
pub(super) struct Look {
    pub(super) facts: ImageFacts,
    found: Found,
}

/// Whose word is asked about an image; the files by what is in them, since a tree that is pulled again may have others.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    image: String,
    consumers: Vec<Consumer>,
    policy: Option<(PathBuf, Option<Digest>)>,
    keys: Vec<(PathBuf, Option<Digest>)>,
}

/// Answers by question; each question is asked once, by whoever comes first.
struct Memo<K, V>(Mutex<HashMap<K, Arc<Answer<V>>>>);

type Answer<V> = OnceLock<Result<Arc<V>, Arc<CliError>>>;

impl<K: Eq + Hash, V> Memo<K, V> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get(&self, question: K, ask: impl FnOnce() -> Result<V, CliError>) -> Result<Arc<V>, CliError> {
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(question).or_default().clone();
        Ok(answer.get_or_init(|| ask().map(Arc::new).map_err(Arc::new)).clone()?)
    }
}

/// Where sites ask.
pub(super) struct Desk<'a> {
    args: &'a RollingArgs,
    /// Whose signatures count where neither an option nor the site says it.
    usual: &'a Verify,
    looks: Memo<String, Option<Look>>,
    mirrors: Memo<String, bool>,
    signatures: Memo<Question, SignatureFacts>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(args: &'a RollingArgs, usual: &'a Verify) -> Self {
        Self { args, usual, looks: Memo::new(), mirrors: Memo::new(), signatures: Memo::new() }
    }

    /// The image; `None` where the registry does not have it.
    pub(super) fn look(&self, image: &Reference) -> Result<Arc<Option<Look>>, CliError> {
        self.looks.get(image.to_string(), || match Found::at(&Location::Registry(image.clone()), &self.args.registry, Access::Read) {
            Ok(found) => Ok(Some(Look::of(image, found)?)),
            Err(CliError::Store(error)) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// What the site's mirrors of the image say.
    pub(super) fn mirrors(&self, image: &Reference, digest: Digest, site: &Site) -> Vec<MirrorFacts> {
        let mirrors = site.facts.iter().flat_map(|facts| &facts.mirrors).filter_map(|mirror| mirror.of(image));
        let ask = |name: Reference| {
            let has = self.mirrors.get(name.at(digest).to_string(), || self.is_there(&name, digest));
            MirrorFacts { name: name.to_string(), has: has.map(|has| *has).map_err(|error| told(&error)) }
        };
        mirrors.map(ask).collect()
    }

    fn is_there(&self, name: &Reference, digest: Digest) -> Result<bool, CliError> {
        let store = self.args.registry.open(&Location::Registry(name.at(digest)), Access::Read)?;
        match store.get_manifest(&ManifestRef::Digest(digest)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What the site's consumers would make of the image's signatures.
    pub(super) fn signature(&self, look: &Look, tree: &Path, site: &Site) -> Result<Arc<SignatureFacts>, CliError> {
        let trust = site.facts.as_ref().map(|facts| &facts.verify);
        let file = |path: &PathBuf| {
            let path = tree.join(path);
            let digest = fingerprint(&path);
            (path, digest)
        };
        let mut files = trust.into_iter().flat_map(|trust| trust.policy.iter().chain(&trust.keys));
        // What is no file of the repository is nobody's word there, and would be quoted where it cannot be read.
        files.try_for_each(|path| refuse_links(tree, path))?;
        let question = Question {
            image: look.facts.image.to_string(),
            consumers: trust.map(|trust| trust.consumers.clone()).unwrap_or_default(),
            policy: trust.and_then(|trust| trust.policy.as_ref()).map(file),
            keys: trust.into_iter().flat_map(|trust| &trust.keys).map(file).collect(),
        };
        self.signatures.get(question.clone(), || self.judge(look, &question))
    }

    fn judge(&self, look: &Look, question: &Question) -> Result<SignatureFacts, CliError> {
        let usual = Some(self.usual).filter(|_| question.policy.is_none() && question.keys.is_empty());
        let file = question.policy.as_ref().map(|(path, _)| path).or_else(|| Some(&usual?.policy.as_ref()?.value));
        let policy = self.args.policy.load_or(file.map(PathBuf::as_path))?;
        let named = self.args.trusting.trusted(&question.image, &self.args.registry)?;
        let named = if named.is_nobody() { keys_of(question, usual)? } else { named };
        let trusted = match &policy {
            Some(policy) => policy::narrowed(policy, named)?,
            None if named.is_nobody() => return Ok(SignatureFacts::Nobody),
            None => named,
        };
        let consumers = consumers(&question.consumers, policy.as_ref());
        if let Some(policy) = &policy
            && let Err(CliError::Refused { reasons, hint, .. }) = policy::ensure_covered(policy, Some(&question.image))
        {
            return Ok(SignatureFacts::Judged { consumers, signers: Vec::new(), refusals: vec![reasons], fix: hint });
        }
        let report = self.verify(look, &trusted, &consumers, policy.as_ref())?;
        Ok(judged(consumers, &report))
    }

    fn verify(&self, look: &Look, trusted: &Trusted, consumers: &[Consumer], policy: Option<&Policy>) -> Result<VerifyReport, CliError> {
        let watch = policy.is_some_and(Policy::layers).then(Watch::silent);
        let none: [AttestationKind; 0] = [];
        Ok(examine(&VerifyRequest {
            store: look.found.store.as_ref(),
            manifest: look.found.manifest.clone(),
            trusted,
            // As the cluster pulls it: by digest.
            identity: Some(&look.facts.image.to_string()),
            consumers,
            required: &self.args.policy.requirements(policy, &none)?,
            now: Timestamp::now(),
            layers: watch.as_ref(),
            just_signed: None,
        })?)
    }
}

impl Look {
    fn of(image: &Reference, found: Found) -> Result<Self, CliError> {
        let inspection = inspect(found.store.as_ref(), &found.manifest)?;
        let is_plain = |kind: &str| matches!(kind, media_type::LAYER_TAR | media_type::DOCKER_LAYER_TAR);
        let facts = ImageFacts {
            image: image.pinned(found.manifest.digest()),
            platforms: inspection.platforms.iter().filter_map(|platform| platform.parse().ok()).collect(),
            size: inspection.size,
            is_packed: !inspection.layers.iter().all(|layer| is_plain(&layer.media_type)),
            annotations: inspection.annotations,
        };
        Ok(Self { facts, found })
    }
}

fn judged(consumers: Vec<Consumer>, report: &VerifyReport) -> SignatureFacts {
    let refusals = report.refusals();
    let fix = refusals.first().map(|first| verify::hint(first, report));
    SignatureFacts::Judged { consumers, signers: signers(report), refusals: refusals.iter().map(ToString::to_string).collect(), fix }
}

/// Who of the trusted signed what the reference names.
fn signers(report: &VerifyReport) -> Vec<String> {
    let findings = report.manifests.first().into_iter().flat_map(|manifest| manifest.classic.iter().chain(&manifest.bundles));
    let mut names: Vec<String> = Vec::new();
    for finding in findings.filter(|finding| finding.is_accepted_signature()) {
        let Verdict::Accepted(Proof { by, .. }) = &finding.verdict else { continue };
        let name = match by {
            SignedBy::Key { hint, .. } => hint.clone(),
            by => by.to_string(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whom the site names, else the policy, else one of each world.
fn consumers(of_site: &[Consumer], policy: Option<&Policy>) -> Vec<Consumer> {
    let of_policy = policy.map(Policy::consumers).unwrap_or_default();
    let named = [of_site, of_policy].into_iter().find(|named| !named.is_empty());
    named.unwrap_or(&Consumer::DEFAULT).to_vec()
}

/// The site's keys, else those of the settings.
fn keys_of(question: &Question, usual: Option<&Verify>) -> Result<Trusted, CliError> {
    let mut keys = question.keys.iter().map(|(path, _)| PublicKey::load(path)).collect::<Result<Vec<_>, _>>()?;
    for word in usual.and_then(|usual| usual.keys.as_ref()).into_iter().flat_map(|keys| &keys.value) {
        let source = KeySource::try_from(std::ffi::OsStr::new(word)).map_err(|error| CliError::usage(error.to_string(), error.hint()))?;
        keys.push(source.public_key()?);
    }
    Ok(Trusted::keys(keys))
}

/// The digest of a small file; `None` where it cannot be read, which whoever needs it will tell.
pub(super) fn fingerprint(path: &Path) -> Option<Digest> {
    // What is behind a link or a pipe is refused by whoever reads it, and may never end.
    fs_err::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    fs_err::File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(Digest::of(&bytes))
}

/// An error and its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut words: Vec<String> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_question_is_asked_once_whoever_asks_and_whatever_the_answer() {
        let (memo, asked) = (Memo::<&str, usize>::new(), AtomicUsize::new(0));
        let ask = |question| {
            memo.get(question, || match asked.fetch_add(1, Ordering::Relaxed) {
                _ if question == "bad" => Err(CliError::usage("no", "never")),
                number => Ok(number),
            })
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| ask("good").unwrap()))));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        for _ in 0..2 {
            let error = ask("bad").unwrap_err();
            assert_eq!((error.to_string(), error.hint().as_deref(), error.exit_code()), ("no".to_owned(), Some("never"), 2));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_sites_consumers_come_before_the_usual_ones() {
        assert_eq!(consumers(&[Consumer::Quay], None), [Consumer::Quay]);
        assert_eq!(consumers(&[], None), Consumer::DEFAULT);
    }

    #[test]
    fn a_key_file_that_changes_is_another_question() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        assert_eq!(fingerprint(&file), None);
        fs_err::write(&file, "a").unwrap();
        let first = fingerprint(&file);
        fs_err::write(&file, "b").unwrap();
        assert!(first.is_some() && fingerprint(&file) != first);
        std::os::unix::fs::symlink(&file, dir.path().join("link")).unwrap();
        assert_eq!(fingerprint(&dir.path().join("link")), None);
    }
}
