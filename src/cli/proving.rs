//! What `ship` and `build` do with an image that is public: sign it, attest it, and check it as a consumer would.

use super::attesting::{AttestingArgs, Story};
use super::resolve::Found;
use super::{CliError, sign, verify};
use crate::oci::Location;
use crate::report::{Ui, timed, trust};
use crate::trust::{Scope, Signer};

/// Who signs what.
pub(super) struct Proving<'a> {
    pub(super) found: &'a Found,
    /// The names under which consumers know the image.
    pub(super) identities: &'a [String],
    pub(super) signer: &'a Signer,
    pub(super) attesting: &'a AttestingArgs,
    pub(super) story: &'a Story,
}

impl Proving<'_> {
    /// Signs what was stored, by its digest; the attestations come behind the bundle signature.
    ///
    /// # Errors
    /// [`CliError::Unsigned`] and [`CliError::Unattested`] tell what is public.
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let Self { found, identities, signer, .. } = self;
        let (signed, time) = timed(|| sign::sign_found(found, identities, signer, Scope::All)).map_err(|error| self.unsigned(error))?;
        signed.warnings.iter().for_each(|warning| ui.warn(warning));
        ui.step("sign", sign::summary(&signed), time);
        self.attesting.attach(ui, found, signer, &signed, self.story).map_err(|error| self.unattested(error))?;
        let asked = identities.first().map(String::as_str);
        let verified = timed(|| verify::verify_signed(found, &signer.trusted()?, asked, &signed));
        let (report, time) = verified.map_err(|error| self.unsigned(error))?;
        verify::accept(found, &report)?;
        ui.step("verify", trust::verified(&report), time);
        Ok(())
    }

    fn unsigned(&self, source: CliError) -> CliError {
        CliError::Unsigned { image: public_name(self.found), source: Box::new(source) }
    }

    fn unattested(&self, source: CliError) -> CliError {
        CliError::Unattested { image: public_name(self.found), source: Box::new(source) }
    }
}

/// The image as the user can sign it later: tag and digest where it has both.
fn public_name(found: &Found) -> String {
    match &found.location {
        Location::Registry(reference) => reference.pinned(found.manifest.digest()).to_string(),
        location => location.to_string(),
    }
}
