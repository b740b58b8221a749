//! Options that several verbs share.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;

use crate::kserve::{Delivery, Generation};
use crate::oci::{Annotations, InvalidLocation, InvalidReference, Location, Timestamp};
use crate::rollout::RolloutError;
use crate::store::{self, Access, Store, StoreOptions};
use crate::trust::KeySource;

use super::pace::PaceArgs;
use super::patience::PatienceArgs;
use super::settings::Settings;
use super::{CliError, from_file};

/// How registries are reached.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Registry")]
pub(super) struct RegistryArgs {
    /// Credentials of docker or podman, before the usual places; or a folder with config.json or .dockerconfigjson (a mounted secret)
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE", hide_env_values = true)]
    authfile: Option<PathBuf>,
    /// Check certificates and refuse plain HTTP [default: true; loopback addresses may use plain HTTP]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tls_verify: Option<bool>,
    /// PEM certificates to trust besides the system's; or a folder of *.crt and *.pem (a mounted ConfigMap), which may hold none
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// This client's certificate and key (client.cert, client.key or tls.crt, tls.key) and *.crt to trust, as podman's
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    #[command(flatten)]
    patience: PatienceArgs,
    #[command(flatten)]
    pace: PaceArgs,
}

impl RegistryArgs {
    pub(super) fn options(&self) -> StoreOptions {
        let options = StoreOptions {
            authfile: self.authfile.clone(),
            tls_verify: self.tls_verify,
            ca_file: self.ca_file.clone(),
            cert_dir: self.cert_dir.clone(),
            ..StoreOptions::default()
        };
        self.pace.apply(self.patience.apply(options))
    }

    /// The credential file that the user named.
    pub(super) fn authfile(&self) -> Option<&Path> {
        self.authfile.as_deref()
    }

    /// The certificates to trust besides the system's.
    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    pub(super) fn open(&self, location: &Location, access: Access) -> Result<Box<dyn Store>, CliError> {
        Ok(store::open(location, access, &self.options())?)
    }
}

/// The image that a word names, or `None` where it is the path of a model.
///
/// # Errors
/// It is neither.
pub(super) fn image(what: &str) -> Result<Option<Location>, CliError> {
    if what.starts_with('@') {
        return named(what).map(Some);
    }
    let path = Path::new(what);
    if path.join("oci-layout").is_file() {
        return Ok(Some(Location::Layout { dir: path.to_owned(), image: None }));
    }
    if path.exists() {
        return Ok(None);
    }
    match what.parse() {
        Ok(location) => Ok(Some(location)),
        // `model.onnx` with a slip of the pen is about a file, not about a registry called "model.onnx".
        Err(_) if !what.contains(':') => Ok(None),
        Err(_) => named(what).map(Some),
    }
}

/// The image that a name, or the name in `@FILE`, means. Settings are read for names alone that mean nothing without them: a broken file is no obstacle to others.
pub(super) fn named(text: &str) -> Result<Location, CliError> {
    let text = from_file::expand(text)?;
    match text.parse() {
        Ok(location) => Ok(location),
        Err(InvalidLocation::Reference(InvalidReference::NoRegistry { .. })) => Settings::load()?.image(&text),
        Err(error) => Err(CliError::Location(error)),
    }
}

/// A word that names a key. clap's own message would repeat a wrong word, which may be a key or hold a PIN; the options that use
/// this allow hyphens in front, because PEM begins with them.
#[derive(Clone)]
pub(super) struct KeyParser;

impl TypedValueParser for KeyParser {
    type Value = KeySource;

    fn parse_ref(&self, command: &clap::Command, _: Option<&clap::Arg>, word: &OsStr) -> Result<KeySource, clap::Error> {
        KeySource::try_from(word).map_err(|error| {
            let message = format!("invalid value for '--key <KEY>': {error}\n\nhint: {}\n", error.hint());
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For scripts: one document
    Json,
}

/// A `KEY=VALUE` option.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !key.contains(char::is_whitespace) => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Pairs as annotations; a key given twice keeps its last value, as docker does.
pub(super) fn annotations(pairs: &[(String, String)]) -> Annotations {
    pairs.iter().cloned().collect()
}

/// The time of a build: `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch/>), else 1970.
pub(super) fn created() -> Result<Timestamp, CliError> {
    Ok(source_date_epoch()?.unwrap_or_default())
}

/// The present moment, of which nothing in an image depends; `SOURCE_DATE_EPOCH` stands for it too.
pub(super) fn now() -> Result<Timestamp, CliError> {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(source_date_epoch()?.unwrap_or_else(|| Timestamp::from_seconds(clock())))
}

/// What `SOURCE_DATE_EPOCH` says, if it is set.
pub(super) fn source_date_epoch() -> Result<Option<Timestamp>, CliError> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) else { return Ok(None) };
    let seconds = value.to_str().and_then(|text| text.parse().ok());
    let wrong = || CliError::usage(format!("SOURCE_DATE_EPOCH is {}", value.display()), "it is a whole number of seconds since 1970");
    seconds.map(|seconds| Some(Timestamp::from_seconds(seconds))).ok_or_else(wrong)
}

/// A word of the trust room.
pub(super) fn plain_word<T: FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.parse()
}

/// A word of the rollout room or the one below it, with the words there are where it is another one.
pub(super) fn word<T: FromStr<Err: Into<RolloutError>>>(text: &str) -> Result<T, String> {
    text.parse().map_err(Into::into).map_err(|error: RolloutError| match error.hint() {
        Some(hint) => format!("{error}\n\nhint: {hint}"),
        None => error.to_string(),
    })
}

/// Refuses a delivery that the platform does not have.
pub(super) fn ensure_supported(platform: Option<Generation>, deliveries: &[Delivery]) -> Result<(), CliError> {
    let Some(generation) = platform else { return Ok(()) };
    Ok(deliveries.iter().try_for_each(|delivery| generation.supports(*delivery)).map_err(RolloutError::from)?)
}

/// An image location, by its whole name or, where settings say what it means, by a short one; with the hint where it cannot be read.
pub(super) fn location(text: &str) -> Result<Location, String> {
    named(text).map_err(|error| match error.hint() {
        Some(hint) => format!("{error}\n\nhint: {hint}"),
        None => error.to_string(),
    })
}
