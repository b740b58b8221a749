//! The commit message of a rollout: a subject for people, trailers for `git log` and for finding the way back.

use super::{Service, SiteName};
use crate::kserve::Delivery;
use crate::oci::Digest;

/// What a commit tells beyond the service itself.
#[derive(Clone, Copy, Debug)]
pub struct CommitNote<'a> {
    /// The site that changes.
    pub site: &'a SiteName,
    /// What it ran before.
    pub old_digest: Option<Digest>,
    /// How the model came into the pod before.
    pub old_delivery: Option<Delivery>,
    /// Who signed the image, as a key hint or an identity.
    pub signer: Option<&'a str>,
}

/// The message: `sites/SITE: NAME TAG (sha256:…)` and the facts as git trailers.
pub fn commit_message(service: &Service, note: &CommitNote<'_>) -> String {
    let tag = service.image.tag().map(|tag| format!("{tag} ")).unwrap_or_default();
    let short = service.image.digest().map(|digest| format!("(sha256:{})", digest.short())).unwrap_or_default();
    let mut lines = vec![format!("sites/{}: {} {tag}{short}", note.site, service.name), String::new()];
    lines.push(format!("Model-Image: {}", service.image));
    lines.extend(note.old_digest.map(|digest| format!("Previous-Digest: {digest}")));
    lines.extend(note.signer.map(|signer| format!("Signed-With: {}", one_line(signer))));
    lines.push(format!("Delivery: {} ({})", service.delivery, service.generation));
    lines.extend(note.old_delivery.filter(|old| *old != service.delivery).map(|old| format!("Previous-Delivery: {old}")));
    lines.join("\n") + "\n"
}

/// A signer's name comes from outside; a line break in it could forge a trailer.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kserve::Generation;
    use crate::rollout::ModelFormat;

    fn service(image: &str) -> Service {
        Service {
            name: "iris".parse().unwrap(),
            namespace: None,
            image: image.parse().unwrap(),
            generation: Generation::Rhoai3_5,
            delivery: Delivery::Native,
            format: ModelFormat { name: "onnx".to_owned(), version: None },
            runtime: None,
            layout: None,
            args: Vec::new(),
            annotations: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn names_model_digests_and_signer() {
        let (new, old) = (Digest::of(b"new"), Digest::of(b"old"));
        let site = "edge-01".parse().unwrap();
        let note = CommitNote { site: &site, old_digest: Some(old), old_delivery: Some(Delivery::Modelcar), signer: Some("key 3f2a") };
        let message = commit_message(&service(&format!("quay.io/acme/iris:v2@{new}")), &note);
        let expected = format!(
            "sites/edge-01: iris v2 (sha256:{})\n\nModel-Image: quay.io/acme/iris:v2@{new}\nPrevious-Digest: {old}\n\
             Signed-With: key 3f2a\nDelivery: native (OpenShift AI 3.5)\n\
             Previous-Delivery: modelcar\n",
            new.short()
        );
        assert_eq!(message, expected);
    }

    #[test]
    fn lets_no_signer_forge_a_trailer() {
        let site = "edge-01".parse().unwrap();
        let note = CommitNote { site: &site, old_digest: None, old_delivery: None, signer: Some("mallory\nPrevious-Digest: sha256:0") };
        let message = commit_message(&service(&format!("quay.io/acme/iris@{}", Digest::of(b"new"))), &note);
        assert!(!message.lines().any(|line| line.starts_with("Previous-Digest")), "{message}");
        assert!(message.starts_with("sites/edge-01: iris (sha256:"), "{message}");
    }
}
