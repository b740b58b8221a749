//! Signatures that were tampered with, rebuilt so that every digest is right again, are refused by the verifiers of the field and by
//! `modelcar verify`. They are brought to the registry by oras, since modelcar makes no such thing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use modelcar::oci::Digest;
use serde_json::Value;

use crate::support::run;
use crate::support::verifiers::{ALL, BUNDLE, CLASSIC, Field, Host, NOBODY, PODMAN, Question, repository};

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// Both signatures of one manifest, as documents.
struct Signatures {
    /// The `.sig` image.
    image: Value,
    payload: Value,
    /// The manifest that attaches the bundle.
    referrer: Value,
    bundle: Value,
    /// The configs of the two.
    configs: [Vec<u8>; 2],
}

impl Signatures {
    /// Those of a manifest that has one of each.
    fn read(field: &Field, repository: &str, digest: &str) -> Self {
        let manifest = |name: &str| json(&field.oras(&["manifest", "fetch", &format!("{repository}{name}")]));
        let blob =
            |descriptor: &Value| field.oras(&["blob", "fetch", "--output", "-", &format!("{repository}@{}", text(&descriptor["digest"]))]);
        let image = manifest(&sig_tag(digest));
        let found = json(&field.oras(&["discover", "--format", "json", &format!("{repository}@{digest}")]));
        let referrer = manifest(&format!("@{}", text(&found["referrers"][0]["digest"])));
        let (payload, bundle) = (json(&blob(&image["layers"][0])), json(&blob(&referrer["layers"][0])));
        let configs = [&image, &referrer].map(|manifest| blob(&manifest["config"]));
        Self { image, payload, referrer, bundle, configs }
    }

    /// Puts them where verifiers look for signatures of this manifest.
    fn write(mut self, field: &Field, repository: &str, digest: &str) {
        self.configs.iter().for_each(|config| drop(put_blob(field, repository, config)));
        for (manifest, content) in [(&mut self.image, &self.payload), (&mut self.referrer, &self.bundle)] {
            let (digest, size) = put_blob(field, repository, content.to_string().as_bytes());
            manifest["layers"][0]["digest"] = digest.into();
            manifest["layers"][0]["size"] = size.into();
        }
        put_manifest(field, &format!("{repository}{}", sig_tag(digest)), &self.image);
        let attached = Digest::of(self.referrer.to_string().as_bytes());
        put_manifest(field, &format!("{repository}@{attached}"), &self.referrer);
    }

    fn classic(&mut self) -> &mut Value {
        &mut self.image["layers"][0]["annotations"][SIGNATURE]
    }

    fn change_statement(&mut self, change: impl FnOnce(&mut Value)) {
        let payload = &mut self.bundle["dsseEnvelope"]["payload"];
        let mut statement = json(&STANDARD.decode(text(payload)).unwrap());
        change(&mut statement);
        *payload = STANDARD.encode(statement.to_string()).into();
    }
}

fn put_blob(field: &Field, repository: &str, bytes: &[u8]) -> (String, usize) {
    let digest = Digest::of(bytes).to_string();
    let file = field.write("blob", bytes);
    field.oras(&["blob", "push", &format!("{repository}@{digest}"), file.to_str().unwrap()]);
    (digest, bytes.len())
}

fn put_manifest(field: &Field, name: &str, manifest: &Value) {
    let file = field.write("manifest", manifest.to_string().as_bytes());
    field.oras(&["manifest", "push", "--media-type", text(&manifest["mediaType"]), name, file.to_str().unwrap()]);
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn sig_tag(digest: &str) -> String {
    format!(":{}.sig", digest.replace(':', "-"))
}

/// The same base64 with a bit of its bytes turned, far from the signature's ASN.1 head.
fn flip(signature: &mut Value) {
    let mut bytes = STANDARD.decode(text(signature)).unwrap();
    bytes[20] ^= 1;
    *signature = STANDARD.encode(bytes).into();
}

/// What is changed, in how, and who still accepts the image.
type Forgery = (&'static str, fn(&mut Signatures), &'static [&'static str]);

const FORGERIES: [Forgery; 7] = [
    ("nothing", |_| {}, ALL),
    ("the payload's optional part", |all| all.payload["optional"] = serde_json::json!({"creator": "somebody"}), &[BUNDLE]),
    ("a bit of the classic signature", |all| flip(all.classic()), &[BUNDLE]),
    (
        "the statement's predicate",
        |all| all.change_statement(|it| it["predicate"] = serde_json::json!({"approved": true})),
        &[CLASSIC, PODMAN],
    ),
    ("a bit of the bundle's signature", |all| flip(&mut all.bundle["dsseEnvelope"]["signatures"][0]["sig"]), &[CLASSIC, PODMAN]),
    ("the payload's type in the envelope", |all| all.bundle["dsseEnvelope"]["payloadType"] = "text/plain".into(), &[CLASSIC, PODMAN]),
    (
        "a bit of both signatures",
        |all| {
            flip(all.classic());
            flip(&mut all.bundle["dsseEnvelope"]["signatures"][0]["sig"]);
        },
        NOBODY,
    ),
];

/// An image without signatures at `twin`, and those made for it elsewhere: of the index, then of each platform.
fn twin(field: &Field, twin: &str, words: &[&str]) -> Vec<Signatures> {
    let source = twin.replace("/twins", "/sources");
    field.build(&source, &[]);
    field.sign(&source, "a", &["--sign-identity", twin]);
    field.build(twin, words);
    manifests(field, &source)
}

/// One way in which others sign a source image under the name of its twin.
type ByOthers = fn(&Field, &str, &str) -> Option<()>;

const BY_OTHERS: [(&str, ByOthers); 4] = [
    ("cosign 3", |field, source, name| {
        field.cosign_sign(source, "c", &[]);
        field.cosign_sign(source, "c", &["--new-bundle-format=false", "--sign-container-identity", name]);
        Some(())
    }),
    ("cosign 2", |field, source, name| {
        field.cosign2_sign(source, "c", &["--sign-container-identity", name]);
        field.cosign_sign(source, "c", &[]);
        Some(())
    }),
    ("cosign 2, a bundle too", |field, source, name| {
        field.cosign2_sign(source, "c", &["--sign-container-identity", name]);
        field.cosign2_sign(source, "c", &["--new-bundle-format=true"]);
        Some(())
    }),
    ("containers/image", |field, source, name| {
        field.containers_sign(source, "c", name)?;
        field.cosign_sign(source, "c", &[]);
        Some(())
    }),
];

/// What is changed in others' signatures, and who still accepts the image.
const CHANGES: [Forgery; 3] = [FORGERIES[0], FORGERIES[2], FORGERIES[4]];

#[test]
fn what_others_sign_is_accepted_and_its_changed_twin_is_not() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for (registry, (by, sign)) in hosts.iter().flat_map(|registry| BY_OTHERS.iter().map(move |by| (registry, by))) {
        for (number, single) in [false, true].into_iter().enumerate() {
            let push = |image: &str| if single { field.build_single(image) } else { drop(field.build(image, &[])) };
            let folder = format!("{}/{}{number}", registry.host, by.replace([' ', ',', '/'], "-").to_lowercase());
            // the name that all of them sign is that of one twin, so the others are told where the signatures are from
            let [source, name] = ["source", "twin"].map(|place| format!("{folder}/{place}:v1"));
            push(&source);
            let Some(()) = sign(&field, &pinned(&field, &source), &name) else { return };
            push(&name);
            for (what, forge, accepted_by) in CHANGES {
                eprintln!("{what} of {by} is changed in {name}");
                let twin = name.replace("/twin:", &format!("/twin-{}:", accepted_by.len()));
                run(field.modelcar().args(["push", "-q", &name, &twin]));
                let mut signatures: Vec<_> = manifests(&field, &source);
                signatures.iter_mut().for_each(forge);
                attach(&field, &twin, signatures);
                let rule = serde_json::json!({"type": "exactReference", "dockerReference": name});
                let question = Question { signed_identity: rule, identity: Some(&name), ..Question::new(&twin, "c") };
                field.expect_answer(&question, accepted_by);
            }
        }
    }
}

fn pinned(field: &Field, image: &str) -> String {
    format!("{}@{}", repository(image), field.manifests(image)[0])
}

/// The signatures of what the name means, and of each platform.
fn manifests(field: &Field, image: &str) -> Vec<Signatures> {
    field.manifests(image).iter().map(|digest| Signatures::read(field, repository(image), digest)).collect()
}

/// Attaches signatures to the index and each platform.
fn attach(field: &Field, image: &str, signatures: Vec<Signatures>) {
    let manifests = field.manifests(image);
    assert_eq!(signatures.len(), manifests.len());
    for (signatures, digest) in signatures.into_iter().zip(&manifests) {
        signatures.write(field, repository(image), digest);
    }
}

#[test]
fn a_changed_signature_is_refused_by_all_who_read_it() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for registry in &hosts {
        for (number, (what, forge, accepted_by)) in FORGERIES.iter().enumerate() {
            let image = format!("{}/twins{number}/iris:v1", registry.host);
            eprintln!("{what} is changed in {image}");
            let mut forged = twin(&field, &image, &[]);
            forged.iter_mut().for_each(forge);
            attach(&field, &image, forged);
            field.expect(&image, "a", accepted_by);
        }
    }
}

#[test]
fn a_changed_signature_of_one_platform_refuses_the_image() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    let (_, forge, accepted_by) = FORGERIES[FORGERIES.len() - 1];
    for (registry, platform) in [(&hosts[0], 1), (&hosts[1], 2)] {
        let image = format!("{}/twins/iris:v1", registry.host);
        let mut originals = twin(&field, &image, &[]);
        forge(&mut originals[platform]);
        attach(&field, &image, originals);
        field.expect(&image, "a", accepted_by);
    }
}

/// The good signatures of the good image, moved to one that differs by a label.
#[test]
fn signatures_of_another_image_are_refused() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for registry in &hosts {
        let image = format!("{}/twins/iris:v1", registry.host);
        let mut originals = twin(&field, &image, &["--label", "changed=yes"]);
        for (signatures, digest) in originals.iter_mut().zip(field.manifests(&image)) {
            assert_ne!(text(&signatures.referrer["subject"]["digest"]), digest);
            let subject = field.oras(&["manifest", "fetch", "--descriptor", &format!("{}@{digest}", repository(&image))]);
            signatures.referrer["subject"] = json(&subject);
        }
        attach(&field, &image, originals);
        field.expect(&image, "a", NOBODY);
    }
}

/// A manifest replaced behind the tag has another digest, and nobody signed that.
#[test]
fn a_tag_that_was_moved_to_another_image_is_refused() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for registry in &hosts {
        let image = format!("{}/models/iris:v1", registry.host);
        let pinned = field.build(&image, &[]);
        field.sign(&image, "a", &[]);
        let mut index = json(&field.oras(&["manifest", "fetch", &image]));
        index["annotations"]["org.example.changed"] = "yes".into();
        put_manifest(&field, &image, &index);
        field.expect(&image, "a", NOBODY);
        field.expect(&pinned, "a", ALL);
    }
}
