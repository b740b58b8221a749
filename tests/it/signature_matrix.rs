//! Who accepts which signature: every way of signing that people were caught by, on a registry with the referrers API and on one without
//! it, asked of the real cosign, of the library inside podman and CRI-O, and of modelcar.
//!
//! Tokens and services that fail are the rows of `keyless_faults` and `keyless`, keys and passwords those of the unit tests of keys.

use crate::support::verifiers::{ALL, BUNDLE, CLASSIC, Field, Host, MODEL_SIGNATURE, MODELCAR, NOBODY, PODMAN, Place};

/// Classic signatures alone: cosign 3 still takes them.
const CLASSIC_ALONE: &[&str] = &[CLASSIC, PODMAN, MODELCAR];

struct Row {
    what: &'static str,
    /// Signs the image, given by tag and by digest.
    sign: fn(&Field, &str, &str),
    key: &'static str,
    /// Who accepts the name that was signed, the digest, and another tag of it.
    accept: [&'static [&'static str]; 3],
}

const ROWS: [Row; 13] = [
    Row { what: "nobody", sign: |_, _, _| (), key: "a", accept: [NOBODY; 3] },
    Row {
        what: "classic with the tag",
        sign: |field, tag, digest| classic(field, tag, digest),
        key: "c",
        accept: [CLASSIC_ALONE, CLASSIC_ALONE, &[CLASSIC]],
    },
    Row {
        what: "classic with the repository alone, as cosign writes it",
        sign: |field, _, digest| field.cosign_sign(digest, "c", &["--new-bundle-format=false"]),
        key: "c",
        accept: [&[CLASSIC]; 3],
    },
    Row { what: "bundle alone", sign: |field, _, digest| field.cosign_sign(digest, "c", &[]), key: "c", accept: [&[BUNDLE]; 3] },
    Row { what: "both, by modelcar", sign: |field, tag, _| field.sign(tag, "a", &[]), key: "a", accept: [ALL, ALL, &[BUNDLE, CLASSIC]] },
    Row { what: "both, by another signer", sign: |field, tag, _| field.sign(tag, "a", &[]), key: "b", accept: [NOBODY; 3] },
    Row { what: "the first of two signers", sign: two_signers, key: "a", accept: [ALL, ALL, &[BUNDLE, CLASSIC]] },
    Row { what: "the second of two signers", sign: two_signers, key: "b", accept: [ALL, ALL, &[BUNDLE, CLASSIC]] },
    Row {
        what: "classic, and a bundle about something else",
        sign: |field, tag, digest| {
            classic(field, tag, digest);
            let elsewhere = tag.replace(":v1", "-elsewhere:v1");
            field.build(&elsewhere, &["--label", "x=y"]);
            field.sign(&elsewhere, "c", &[]);
            field.attach(digest, &field.first_bundle(&elsewhere), MODEL_SIGNATURE);
        },
        key: "c",
        accept: [&[CLASSIC, PODMAN], &[CLASSIC, PODMAN], &[CLASSIC]],
    },
    Row {
        what: "classic, and a squatter beside it",
        sign: |field, tag, digest| squatted(field, tag, digest, Place::Beside),
        key: "c",
        accept: [CLASSIC_ALONE, CLASSIC_ALONE, &[CLASSIC]],
    },
    Row {
        what: "a squatter where the classic signature was",
        sign: |field, tag, digest| squatted(field, tag, digest, Place::Instead),
        key: "c",
        accept: [NOBODY; 3],
    },
    Row {
        what: "P-384",
        sign: |field, tag, _| field.sign(tag, "p384", &[]),
        key: "p384",
        accept: [CLASSIC_ALONE, CLASSIC_ALONE, &[CLASSIC]],
    },
    Row { what: "RSA", sign: |field, tag, _| field.sign(tag, "rsa", &[]), key: "rsa", accept: [CLASSIC_ALONE, CLASSIC_ALONE, &[CLASSIC]] },
];

fn classic(field: &Field, tag: &str, digest: &str) {
    field.cosign_sign(digest, "c", &["--new-bundle-format=false", "--sign-container-identity", tag]);
}

fn two_signers(field: &Field, tag: &str, _: &str) {
    for key in ["a", "b"] {
        field.sign(tag, key, &[]);
    }
}

fn squatted(field: &Field, tag: &str, digest: &str, place: Place) {
    classic(field, tag, digest);
    field.squat(digest, &field.write("squatter.json", b"{}"), place);
}

#[test]
fn each_signature_is_accepted_by_whom_modelcar_says() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for key in ["p384", "rsa"] {
        field.import(key);
    }
    for (number, Row { what, sign, key, accept: [by_tag, by_digest, by_another] }) in ROWS.iter().enumerate() {
        for registry in &hosts {
            let tag = format!("{}/models/row{number}:v1", registry.host);
            let another = tag.replace(":v1", ":prod");
            let digest = field.build(&tag, &[]);
            field.build(&another, &[]);
            sign(&field, &tag, &digest);
            for (name, accepted_by) in [(&tag, by_tag), (&digest, by_digest), (&another, by_another)] {
                eprintln!("{what}: {name}");
                field.expect(name, key, accepted_by);
            }
        }
    }
}
