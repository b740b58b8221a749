use serde_json::value::RawValue;

use super::*;
use crate::trust::testing::evidence;
use crate::trust::{Algorithm, Log, Proof, Reason, Says, SignatureTag, SignedBy, Verdict};
use Algorithm::{EcdsaP256Sha256, EcdsaP384Sha256, EcdsaP384Sha384};
use Consumer::{Conforma, CosignV2, CosignV3, CosignV4, Kyverno, OpenShift, Podman, PolicyController, Quay};

const NAME: &str = "q.io/org/iris:v1";
const SLSA: &str = "https://slsa.dev/provenance/v1";

fn key(algorithm: Algorithm) -> SignedBy {
    SignedBy::Key { hint: "hint".to_owned(), algorithm }
}

fn keyless(identity: &str, log: Log) -> SignedBy {
    SignedBy::Certificate { identity: identity.to_owned(), email: identity.contains('@'), issuer: "https://issuer".to_owned(), log }
}

fn good(by: SignedBy, name: Option<&str>) -> Verdict {
    Verdict::Accepted(Proof { by, name: name.map(str::to_owned) })
}

fn finding(says: Says, verdict: Verdict) -> Finding {
    Finding { at: Digest::of(b"somewhere"), says, verdict }
}

fn classic(by: SignedBy) -> Finding {
    finding(Says::Signed, good(by, Some(NAME)))
}

fn bundle(by: SignedBy) -> Finding {
    finding(Says::Signed, good(by, None))
}

fn attested(predicate_type: &str, verdict: Verdict) -> Finding {
    finding(Says::Attested { predicate_type: predicate_type.to_owned(), predicate: RawValue::NULL.to_owned() }, verdict)
}

/// An image with these in its `.sig` image and as bundles.
fn image(classic: Vec<Finding>, bundles: Vec<Finding>) -> ManifestEvidence {
    let signature_tag = SignatureTag { present: !classic.is_empty(), squatters: Vec::new() };
    ManifestEvidence { signature_tag, classic, bundles, ..evidence() }
}

fn accepting(manifests: &[ManifestEvidence]) -> Vec<Consumer> {
    accepting_as(NAME, manifests)
}

fn accepting_as(name: &str, manifests: &[ManifestEvidence]) -> Vec<Consumer> {
    let asked = Asked::by(Some(name)).unwrap();
    Consumer::ALL.into_iter().filter(|consumer| consumer.judge(manifests, &asked).accepts()).collect()
}

/// What is there, and who accepts it.
type Case = (&'static str, ManifestEvidence, &'static [Consumer]);

#[test]
fn each_consumer_reads_its_own_format() {
    let p256 = || key(EcdsaP256Sha256);
    let bad = |reason| finding(Says::Signed, Verdict::Refused(reason));
    let model = || attested("https://model_signing/signature/v1.0", Verdict::Refused(Reason::WrongDigest { named: "x".to_owned() }));
    let damaged = || finding(Says::Unknown, Verdict::Refused(Reason::NoBundle { what: "two layers".to_owned() }));
    let review = || attested("https://example.com/review", good(p256(), None));
    let table: [Case; 10] = [
        ("nothing", image(vec![], vec![]), &[]),
        (
            "both",
            image(vec![classic(p256())], vec![bundle(p256())]),
            &[OpenShift, Podman, CosignV2, CosignV3, CosignV4, Kyverno, PolicyController, Quay],
        ),
        ("classic", image(vec![classic(p256())], vec![]), &[OpenShift, Podman, CosignV2, CosignV3, Kyverno, PolicyController, Quay]),
        ("bundle", image(vec![], vec![bundle(p256())]), &[CosignV3, CosignV4, Kyverno]),
        ("classic and a model signature", image(vec![classic(p256())], vec![model()]), &[OpenShift, Podman, PolicyController, Quay]),
        (
            "classic and a stranger's bundle",
            image(vec![classic(p256())], vec![bad(Reason::OtherKey { hint: "x".to_owned() })]),
            &[OpenShift, Podman, PolicyController, Quay],
        ),
        (
            "classic and what is no bundle",
            image(vec![classic(p256())], vec![damaged()]),
            &[OpenShift, Podman, CosignV2, CosignV3, Kyverno, PolicyController, Quay],
        ),
        ("an attestation", image(vec![], vec![review()]), &[CosignV3, CosignV4, Kyverno]),
        (
            "a bad signature before a good one",
            image(vec![bad(Reason::NoKeyMatches), classic(p256())], vec![]),
            &[OpenShift, Podman, CosignV2, CosignV3, Kyverno, PolicyController, Quay],
        ),
        ("bad signatures", image(vec![bad(Reason::NoKeyMatches)], vec![bad(Reason::Changed)]), &[Quay]),
    ];
    for (what, image, expected) in table {
        assert_eq!(accepting(&[image]), expected, "{what}");
    }
}

#[test]
fn conforma_wants_provenance_in_the_format_that_it_reads() {
    let p256 = || key(EcdsaP256Sha256);
    let provenance = || attested(SLSA, good(p256(), None));
    let strangers = || attested(SLSA, Verdict::Refused(Reason::Changed));
    let of = |classic, bundles, attachments| ManifestEvidence { attachments, ..image(classic, bundles) };
    let table = [
        ("bundles", of(vec![], vec![bundle(p256()), provenance()], vec![]), true),
        ("tags", of(vec![classic(p256())], vec![], vec![provenance()]), true),
        ("a bundle hides the .att tag", of(vec![classic(p256())], vec![bundle(p256())], vec![provenance()]), false),
        ("a stranger's", of(vec![], vec![bundle(p256()), strangers()], vec![]), false),
        ("another statement", of(vec![], vec![bundle(p256()), attested("https://cyclonedx.org/bom", good(p256(), None))], vec![]), false),
    ];
    for (what, image, expected) in table {
        assert_eq!(accepting(&[image]).contains(&Conforma), expected, "{what}");
    }
}

#[test]
fn a_hash_that_a_consumer_does_not_use_makes_it_refuse() {
    let both = |classic_by, bundle_by| image(vec![classic(key(classic_by))], vec![bundle(key(bundle_by))]);
    let all: &[Consumer] = &[OpenShift, Podman, CosignV2, CosignV3, CosignV4, Kyverno, PolicyController, Quay];
    assert_eq!(accepting(&[both(EcdsaP384Sha256, EcdsaP384Sha384)]), [OpenShift, Podman, PolicyController, Quay]);
    assert_eq!(accepting(&[both(EcdsaP384Sha384, EcdsaP384Sha256)]), [CosignV3, CosignV4, Kyverno, Quay]);
    assert_eq!(accepting(&[both(Algorithm::RsaSha256, Algorithm::RsaSha256)]), all);
    let refusals = CosignV4.judge(&[both(EcdsaP384Sha256, EcdsaP384Sha384)], &Asked::default()).refusals;
    assert!(refusals[0].to_string().ends_with("bundle: made with ECDSA P-384 and SHA-384, and it hashes otherwise for such a key"));
}

#[test]
fn of_keyless_signatures_openshift_takes_those_with_an_e_mail_address_in_rekor_1() {
    let account = "https://kubernetes.io/namespaces/ci/serviceaccounts/signer";
    let table = [
        ("ci@example.com", Log::RekorV1, None),
        (account, Log::RekorV1, Some(Objection::NoEmail { identity: account.to_owned() })),
        ("ci@example.com", Log::RekorV2, Some(Objection::NoRekorV1)),
        ("ci@example.com", Log::Timestamp, Some(Objection::NoRekorV1)),
    ];
    for (identity, log, expected) in table {
        let image = image(vec![classic(keyless(identity, log))], vec![bundle(keyless(identity, log))]);
        let refusals = OpenShift.judge(std::slice::from_ref(&image), &Asked::default()).refusals;
        assert_eq!(refusals.into_iter().map(|refused| refused.objection).next(), expected, "{identity} {log:?}");
        assert!(accepting(&[image]).contains(&CosignV3));
    }
}

#[test]
fn podman_and_openshift_compare_names_and_nobody_else_does() {
    let signed = image(vec![classic(key(EcdsaP256Sha256))], vec![]);
    let others: &[Consumer] = &[CosignV2, CosignV3, Kyverno, PolicyController, Quay];
    assert_eq!(accepting_as("q.io/org/iris:prod", std::slice::from_ref(&signed)), others);
    assert_eq!(accepting_as("q.io/org/other:v1", std::slice::from_ref(&signed)), others);
    let by_digest = format!("q.io/org/iris@{}", signed.digest);
    assert_eq!(accepting_as(&by_digest, &[signed]).len(), others.len() + 2);
}

#[test]
fn only_podman_and_openshift_look_at_the_platforms_of_an_index() {
    let signed = || image(vec![classic(key(EcdsaP256Sha256))], vec![bundle(key(EcdsaP256Sha256))]);
    let lost = ManifestEvidence { present: false, ..signed() };
    let others: &[Consumer] = &[CosignV2, CosignV3, CosignV4, Kyverno, PolicyController, Quay];
    assert_eq!(accepting(&[signed(), image(vec![], vec![])]), others);
    assert_eq!(accepting(&[signed(), lost.clone()]), others);
    assert_eq!(accepting(&[lost, signed()]), []);
    let notes = CosignV3.judge(&[signed(), image(vec![], vec![])], &Asked::default()).notes;
    assert!(notes.contains(&"for a platform's own digest it has nothing good"), "{notes:?}");
    assert_eq!(own_refusals(&[signed(), image(vec![], vec![])]).len(), 2, "modelcar looks at all of them");
}

#[test]
fn an_unread_classic_signature_is_said_to_be_good_but_unread() {
    let model = attested("https://model_signing/signature/v1.0", Verdict::Refused(Reason::WrongDigest { named: "x".to_owned() }));
    let with = |classic| CosignV3.judge(&[image(classic, vec![model.clone()])], &Asked::default()).refusals.remove(0).objection;
    let reason = || Reason::WrongDigest { named: "x".to_owned() };
    assert_eq!(with(vec![classic(key(EcdsaP256Sha256))]), Objection::Shadowed { reason: reason() });
    assert_eq!(with(vec![]), Objection::NoneGood { format: crate::trust::Format::Bundle, reason: reason() });
}

#[test]
fn names_are_read_back_as_they_are_written() {
    for consumer in Consumer::ALL {
        assert_eq!(consumer.to_string().parse::<Consumer>().unwrap(), consumer);
    }
    let aliases = [("crio", OpenShift), ("cri-o", OpenShift), ("cosign", CosignV3)];
    for (alias, consumer) in aliases {
        assert_eq!(alias.parse::<Consumer>().unwrap(), consumer);
    }
    assert!("cosign-v5".parse::<Consumer>().unwrap_err().hint().unwrap().contains("cosign-v3"));
}

#[test]
fn of_many_names_the_nearest_is_told() {
    let named = |name: &str| finding(Says::Signed, good(key(EcdsaP256Sha256), Some(name)));
    let bad = finding(Says::Signed, Verdict::Refused(Reason::NoKeyMatches));
    let image = image(vec![bad, named("q.io/org/other:v1"), named("q.io/org/iris:v1")], vec![]);
    let refusals = OpenShift.judge(&[image], &Asked::by(Some("q.io/org/iris:prod")).unwrap()).refusals;
    let told: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3);
    for (told, expected) in told.iter().zip(["identity `q.io/org/iris:v1`", "identity `q.io/org/other:v1`", "another key"]) {
        assert!(told.contains(expected), "{told}");
    }
}
