//! A signature of the model's own files, attached to the image that holds them.

use super::resolve::Found;
use super::{CliError, attesting};
use crate::report::units;
use crate::trust::SignReport;
use crate::trust::model_signing::{AttachReport, AttachRequest, ModelSigner, Reading, attach_after};

/// Signs the files of the model in an image, which may have been signed a moment ago.
pub(super) fn attach(found: &Found, signer: &ModelSigner<'_>, signed: &SignReport) -> Result<AttachReport, CliError> {
    let name = found.location.reference().map_or_else(|| attesting::name_of(&found.location), |reference| reference.name());
    let (store, manifest) = (found.store.as_ref(), found.manifest.clone());
    let report = attach_after(&AttachRequest { store, manifest, name: &name, signer, reading: Reading::Annotations }, signed)?;
    found.store.commit()?;
    Ok(report)
}

/// `model-signing: 3 files`.
pub(super) fn files(report: &AttachReport) -> String {
    format!("model-signing: {}", units::count(report.files, "file"))
}

/// `3 model signatures added`, and that bundle signatures were, where they were.
pub(super) fn summary(report: &AttachReport) -> String {
    let mut parts: Vec<String> = attesting::signed_first(report.image_signatures_added()).into_iter().collect();
    parts.push(match (report.added(), report.signatures.len() - report.added()) {
        (0, _) => "already signed by this signer, nothing to add".to_owned(),
        (added, 0) => format!("{} added", units::count(added, "model signature")),
        (added, there) => format!("{} added, {there} already there", units::count(added, "model signature")),
    });
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;
    use crate::trust::Outcome::{self, Added, AlreadyThere};
    use crate::trust::model_signing::AttachedSignature;

    fn said(images: &[Outcome], models: &[Outcome]) -> String {
        let at = Digest::of(b"");
        let signature = |outcome: &Outcome| AttachedSignature { subject: at, platform: None, at, outcome: *outcome };
        let report = AttachReport {
            files: 2,
            root: at,
            image_signatures: images.iter().map(|outcome| (at, *outcome)).collect(),
            signatures: models.iter().map(signature).collect(),
        };
        assert_eq!(files(&report), "model-signing: 2 files");
        summary(&report)
    }

    #[test]
    fn says_what_is_new_and_what_had_to_go_first() {
        assert_eq!(said(&[AlreadyThere], &[Added]), "1 model signature added");
        assert_eq!(said(&[AlreadyThere; 3], &[Added, AlreadyThere, AlreadyThere]), "1 model signature added, 2 already there");
        assert_eq!(said(&[AlreadyThere], &[AlreadyThere]), "already signed by this signer, nothing to add");
        let first = said(&[Added, AlreadyThere], &[Added, Added]);
        assert!(
            first.starts_with("1 bundle signature added first, without which") && first.ends_with("; 2 model signatures added"),
            "{first}"
        );
    }
}
