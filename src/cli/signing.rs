//! The options that say who signs.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::keyless::{KeylessArgs, RootArgs};
use super::options::{KeyParser, RegistryArgs};
use super::settings::Settings;
use super::{CliError, from_file};
use crate::oci::{Location, ManifestRef};
use crate::report::Ui;
use crate::trust::{InvalidKeySource, KeySource, Signer};

/// How the services of keyless signing are named.
const SERVICES: &str = "--fulcio-url with --rekor-url or --tsa-url, --signing-config, or --tuf-mirror";

/// Who signs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Signing")]
pub(super) struct SignerArgs {
    /// The private key: a PEM file, env://VARIABLE, or a folder with cosign.key and cosign.password (a mounted secret)
    #[arg(long, value_name = "KEY", value_parser = KeyParser, allow_hyphen_values = true)]
    key: Option<KeySource>,
    /// A file that holds the key's password [default: COSIGN_PASSWORD, else the folder's cosign.password, else a prompt]
    #[arg(long, value_name = "FILE", requires = "key")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    keyless: KeylessArgs,
    #[command(flatten)]
    root: RootArgs,
}

/// Who signs, and under which names.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Signing")]
pub(super) struct SigningArgs {
    #[command(flatten)]
    signer: SignerArgs,
    // the options of keyless signing have set another heading by now
    /// A name under which consumers know the image, such as quay.io/org/model:v1; may be repeated [default: the tag]
    #[arg(long, value_name = "REF", value_parser = from_file::word, help_heading = "Signing")]
    sign_identity: Vec<String>,
}

impl SignerArgs {
    /// Who signs: the holder of a key or of a token, and never both; where no option names one, the holder of the settings' key.
    pub(super) fn signer(&self, registry: &RegistryArgs, ui: &Ui) -> Result<Signer, CliError> {
        let nobody = || {
            let hint = format!("add --key FILE or `[sign] key` in modelcar.toml, or sign without a key: {SERVICES}");
            CliError::usage("nobody is named who signs", hint)
        };
        self.if_any(registry, ui)?.ok_or_else(nobody)
    }

    /// The same where signing may be left out.
    fn if_any(&self, registry: &RegistryArgs, ui: &Ui) -> Result<Option<Signer>, CliError> {
        self.if_given(registry, ui)?.map_or_else(|| self.of_settings(), |signer| Ok(Some(signer)))
    }

    fn of_settings(&self) -> Result<Option<Signer>, CliError> {
        let Some(setting) = Settings::load()?.sign_key else { return Ok(None) };
        let wrong = |error: InvalidKeySource| {
            CliError::usage(format!("`sign.key` names no key: {error}"), "`modelcar config` shows where it comes from")
        };
        self.holder_of(&KeySource::try_from(OsStr::new(&setting.value)).map_err(wrong)?).map(Some)
    }

    /// Who signs by the options alone.
    fn if_given(&self, registry: &RegistryArgs, ui: &Ui) -> Result<Option<Signer>, CliError> {
        let is_chosen = self.keyless.is_chosen(&self.root);
        match (&self.key, self.keyless.named().or_else(|| self.root.named())) {
            (Some(_), Some(option)) => Err(CliError::usage(
                format!("`--key` and `{option}` are both given, and who signs with a key needs no token, service or trusted root"),
                format!("leave out `--key` or `{option}`"),
            )),
            (Some(key), None) => self.holder_of(key).map(Some),
            (None, _) if is_chosen => self.keyless.signer(&self.root, registry, ui).map(Some),
            (None, Some(option)) => Err(CliError::usage(
                format!("`{option}` is about signing without a key, and no service to sign with is named"),
                format!("add --key FILE in place of it, or {SERVICES}"),
            )),
            (None, None) => Ok(None),
        }
    }

    /// Loads the key; the password is asked for only if the key is encrypted.
    fn holder_of(&self, key: &KeySource) -> Result<Signer, CliError> {
        Ok(Signer::Key(key.private_key(self.password_file.as_deref())?))
    }
}

impl SigningArgs {
    /// The one who signs.
    pub(super) fn signer(&self, registry: &RegistryArgs, ui: &Ui) -> Result<Signer, CliError> {
        self.signer.signer(registry, ui)
    }

    /// The one who signs what goes to this place, if anybody does. The settings' key signs what is public; a layout is signed by order.
    pub(super) fn optional_signer(&self, place: &Location, registry: &RegistryArgs, ui: &Ui) -> Result<Option<Signer>, CliError> {
        match place {
            Location::Registry(_) => self.signer.if_any(registry, ui),
            Location::Layout { .. } | Location::Archive { .. } => self.signer.if_given(registry, ui),
        }
    }

    /// Whether the user named identities.
    pub(super) fn has_identities(&self) -> bool {
        !self.sign_identity.is_empty()
    }

    /// The identities to sign: those given, else the image's own tag.
    pub(super) fn identities(&self, location: &Location) -> Result<Vec<String>, CliError> {
        if !self.sign_identity.is_empty() {
            return Ok(self.sign_identity.clone());
        }
        let tagged = location.reference().and_then(|reference| reference.tag().map(|tag| reference.tagged(tag).to_string()));
        let why = match location.manifest_ref() {
            Some(ManifestRef::Digest(_)) => "a digest has no tag, and podman and CRI-O accept a signature only for the tag it names",
            _ => "the layout's image is not named after a registry, and podman and CRI-O accept a signature only for the name in it",
        };
        tagged.map(|tag| vec![tag]).ok_or_else(|| {
            CliError::usage(
                format!("cannot tell which name to sign `{location}` for: {why}"),
                "add --sign-identity REGISTRY/REPOSITORY:TAG",
            )
        })
    }
}
