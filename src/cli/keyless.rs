//! The options of keyless signing, and of trusting certificates.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::CliError;
use super::options::RegistryArgs;
use crate::report::{Ui, timed};
use crate::store::registry::Web;
use crate::trust::{
    CertificateIdentity, Certificates, Expected, KeylessError, Preflight, Rekor, RekorVersion, RootSource, Services, Session,
    SessionOptions, Signer, TokenSource, TrustError, TrustRoot, TufMirror, public_good_services, services_of_file,
};

/// Fulcio's own client ID, unless it is configured for another one.
const AUDIENCE: &str = "sigstore";
/// In seconds.
const SERVICE_TIMEOUT: u64 = 30;

/// Signing with a short-lived certificate instead of a key.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Keyless signing")]
pub(super) struct KeylessArgs {
    /// A file that holds the OIDC token [default: SIGSTORE_ID_TOKEN, else /var/run/sigstore/cosign/oidc-token]
    #[arg(long, value_name = "FILE")]
    identity_token_file: Option<PathBuf>,
    /// The audience that Fulcio expects in the token [default: sigstore]
    #[arg(long, value_name = "AUDIENCE")]
    oidc_client_id: Option<String>,
    /// Fulcio, which gives certificates for tokens
    #[arg(long, value_name = "URL", value_parser = service_url, conflicts_with_all = ["signing_config", "sigstore"])]
    fulcio_url: Option<Url>,
    /// The transparency log
    #[arg(long, value_name = "URL", value_parser = service_url, requires = "fulcio_url")]
    rekor_url: Option<Url>,
    /// The log's version: podman and CRI-O check only 1, and 2 needs a time-stamp authority [default: 1]
    #[arg(long, value_name = "VERSION")]
    rekor_version: Option<Version>,
    /// The time-stamp authority, with its path (…/api/v1/timestamp)
    #[arg(long, value_name = "URL", value_parser = service_url, requires = "fulcio_url")]
    tsa_url: Option<Url>,
    /// The services of a deployment, as a Sigstore signing config
    #[arg(long, value_name = "FILE")]
    signing_config: Option<PathBuf>,
    /// How long a service may be silent before it is asked again [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    service_timeout: Option<u64>,
}

/// Whose word counts.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Trusted root")]
pub(super) struct RootArgs {
    /// The deployment's authorities and logs: trusted_root.json
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// The deployment's TUF repository, which holds the trusted root and the signing config
    #[arg(long, value_name = "URL", value_parser = service_url, requires = "tuf_root", conflicts_with = "trusted_root")]
    tuf_mirror: Option<Url>,
    /// The root.json that trust in the TUF repository begins with
    #[arg(long, value_name = "FILE", requires = "tuf_mirror")]
    tuf_root: Option<PathBuf>,
    /// sigstore.dev, where names and hashes of what is signed are public for ever; asked nothing otherwise
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tuf_mirror", "trusted_root"])]
    sigstore: Option<Instance>,
}

/// Whose certificates count.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Keyless signatures")]
pub(super) struct CertificateArgs {
    /// Whom the certificate must name: an e-mail address, or the URI of a service account or workflow
    #[arg(long, value_name = "TEXT", conflicts_with = "certificate_identity_regexp")]
    certificate_identity: Option<String>,
    /// The same as a regular expression, which may match anywhere: ^…$ binds it to the whole text
    #[arg(long, value_name = "REGEXP")]
    certificate_identity_regexp: Option<String>,
    /// Who must have issued the token
    #[arg(long, value_name = "URL", conflicts_with = "certificate_oidc_issuer_regexp")]
    certificate_oidc_issuer: Option<String>,
    /// The same as a regular expression
    #[arg(long, value_name = "REGEXP")]
    certificate_oidc_issuer_regexp: Option<String>,
    #[command(flatten)]
    root: RootArgs,
}

/// Rekor's versions. Values without help of their own keep the help of the whole verb short.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Version {
    #[value(name = "1")]
    V1,
    #[value(name = "2")]
    V2,
}

impl From<Version> for RekorVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::V1 => Self::V1,
            Version::V2 => Self::V2,
        }
    }
}

/// Deployments that everybody knows.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Instance {
    PublicGood,
}

impl KeylessArgs {
    /// Whether services to sign with are named.
    pub(super) fn is_chosen(&self, root: &RootArgs) -> bool {
        self.fulcio_url.is_some() || self.signing_config.is_some() || root.names_services()
    }

    /// The first of these options that is given.
    pub(super) fn named(&self) -> Option<&'static str> {
        first_given(&[
            (self.fulcio_url.is_some(), "--fulcio-url"),
            (self.signing_config.is_some(), "--signing-config"),
            (self.identity_token_file.is_some(), "--identity-token-file"),
            (self.oidc_client_id.is_some(), "--oidc-client-id"),
            (self.rekor_url.is_some(), "--rekor-url"),
            (self.rekor_version.is_some(), "--rekor-version"),
            (self.tsa_url.is_some(), "--tsa-url"),
            (self.service_timeout.is_some(), "--service-timeout"),
        ])
    }

    /// Reads the token, shows what it says, and asks Fulcio whether it would believe it.
    pub(super) fn signer(&self, root: &RootArgs, registry: &RegistryArgs, ui: &Ui) -> Result<Signer, CliError> {
        let source = TokenSource::choose(self.identity_token_file.clone()).map_err(TrustError::from)?;
        let (token, time) = timed(|| source.read().map_err(TrustError::from))?;
        let session = self.session(source, root, registry);
        match &session {
            Ok(_) => ui.step("token", token.described(), time),
            // what it says may be the reason, and is no success then
            Err(_) => ui.say(format!("  {:<8} {}", "token", token.described())),
        }
        let (session, preflight) = session?;
        preflight.warning().iter().for_each(|warning| ui.warn(warning));
        if root.source().is_none() {
            ui.note("no trusted root is named, so what the services answer is published without being verified: add --trusted-root");
        }
        Ok(Signer::Keyless(Box::new(session)))
    }

    fn session(&self, token: TokenSource, root: &RootArgs, registry: &RegistryArgs) -> Result<(Session, Preflight), TrustError> {
        let idle = Duration::from_secs(self.service_timeout.unwrap_or(SERVICE_TIMEOUT));
        let web = web(registry, idle)?;
        let services = self.services(root, &web)?;
        let root = root.load(registry, idle)?;
        let audience = self.oidc_client_id.clone().unwrap_or_else(|| AUDIENCE.to_owned());
        Ok(Session::start(SessionOptions { services, root, token, audience, web })?)
    }

    fn services(&self, root: &RootArgs, web: &Web) -> Result<Services, KeylessError> {
        let version = self.rekor_version.map(RekorVersion::from);
        if let Some(fulcio) = &self.fulcio_url {
            let rekor = self.rekor_url.clone().map(|url| Rekor { url, version: version.unwrap_or_default() });
            return Services::new(fulcio.clone(), rekor, self.tsa_url.clone());
        }
        match (&self.signing_config, root.tuf()) {
            (Some(file), _) => services_of_file(file, version),
            (None, Some(tuf)) => tuf.services(web, version),
            (None, None) => public_good_services(version),
        }
    }
}

impl RootArgs {
    /// Whether the place of the root also names services.
    fn names_services(&self) -> bool {
        self.tuf_mirror.is_some() || self.sigstore.is_some()
    }

    /// The first of these options that is given.
    pub(super) fn named(&self) -> Option<&'static str> {
        first_given(&[
            (self.trusted_root.is_some(), "--trusted-root"),
            (self.tuf_mirror.is_some(), "--tuf-mirror"),
            (self.sigstore.is_some(), "--sigstore"),
        ])
    }

    fn tuf(&self) -> Option<TufMirror> {
        Some(TufMirror { mirror: self.tuf_mirror.clone()?, root: self.tuf_root.clone()? })
    }

    fn source(&self) -> Option<RootSource> {
        match (&self.trusted_root, self.tuf(), self.sigstore) {
            (Some(file), _, _) => Some(RootSource::File(file.clone())),
            (None, Some(tuf), _) => Some(RootSource::Tuf(tuf)),
            (None, None, Some(Instance::PublicGood)) => Some(RootSource::PublicGood),
            (None, None, None) => None,
        }
    }

    /// The root, where one is named. Only a TUF repository is asked over the network.
    fn load(&self, registry: &RegistryArgs, idle: Duration) -> Result<Option<Arc<TrustRoot>>, KeylessError> {
        let load = |source: RootSource| source.load(|| web(registry, idle)).map(Arc::new);
        self.source().map(load).transpose()
    }
}

impl CertificateArgs {
    /// Whose certificates count, where the options say so.
    ///
    /// # Errors
    /// They say half of it, or the root cannot be had.
    pub(super) fn certificates(&self, registry: &RegistryArgs) -> Result<Option<Certificates>, CliError> {
        let root = self.root.load(registry, Duration::from_secs(SERVICE_TIMEOUT)).map_err(TrustError::from)?;
        Ok(self.whose(root)?.map(|(whose, root)| Certificates::new(vec![whose], root)))
    }

    /// The same for a policy that is to be printed, which holds the root itself: with the file that it is in.
    ///
    /// # Errors
    /// They say half of it, or the root is in no file.
    pub(super) fn in_file(&self) -> Result<Option<(CertificateIdentity, PathBuf)>, CliError> {
        if self.root.names_services() {
            let hint = "name a file: `--trusted-root FILE`";
            return Err(CliError::usage("a policy holds the authorities themselves, and they are read from a file only", hint));
        }
        self.whose(self.root.trusted_root.clone())
    }

    /// Whom to trust with this root: all three things, or none of them.
    fn whose<Root>(&self, root: Option<Root>) -> Result<Option<(CertificateIdentity, Root)>, CliError> {
        let identity = expected(self.certificate_identity.as_ref(), self.certificate_identity_regexp.as_ref())?;
        let issuer = expected(self.certificate_oidc_issuer.as_ref(), self.certificate_oidc_issuer_regexp.as_ref())?;
        match (identity, issuer, root) {
            (None, None, None) => Ok(None),
            (Some(identity), Some(issuer), Some(root)) => Ok(Some((CertificateIdentity { identity, issuer }, root))),
            (identity, issuer, root) => Err(half(identity.is_some(), issuer.is_some(), root.is_some())),
        }
    }

    /// Whether checking needs a network besides the store.
    pub(super) fn needs_network(&self) -> bool {
        self.root.tuf_mirror.is_some()
    }
}

/// What is missing from the three things that make up whom to trust.
fn half(identity: bool, issuer: bool, root: bool) -> CliError {
    let parts = [
        (identity, "--certificate-identity (whom)"),
        (issuer, "--certificate-oidc-issuer (by whose word)"),
        (root, "--trusted-root, --tuf-mirror or --sigstore public-good (whose certificates)"),
    ];
    let missing: Vec<&str> = parts.into_iter().filter(|(given, _)| !given).map(|(_, name)| name).collect();
    CliError::usage("a certificate is trusted by three things, and not all of them are given", format!("add {}", missing.join(" and ")))
}

fn first_given(options: &[(bool, &'static str)]) -> Option<&'static str> {
    options.iter().find(|(given, _)| *given).map(|(_, name)| *name)
}

/// The address of a service. `fulcio.example.com` has no scheme, and `fulcio.example.com:8080` one that is no scheme.
fn service_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if !url.has_host() => Err(without_scheme(text)),
        Ok(url) if matches!(url.scheme(), "https" | "http") => Ok(url),
        Ok(url) => Err(format!("services are spoken to by https, not by {}", url.scheme())),
        Err(url::ParseError::RelativeUrlWithoutBase) => Err(without_scheme(text)),
        Err(error) => Err(error.to_string()),
    }
}

fn without_scheme(text: &str) -> String {
    format!("it has no scheme: write https://{}", text.trim_start_matches('/'))
}

/// A variable that is not set leaves an empty word: that is nothing given, and no pattern that everybody fits.
fn expected(text: Option<&String>, pattern: Option<&String>) -> Result<Option<Expected>, CliError> {
    let [text, pattern] = [text, pattern].map(|word| word.filter(|word| !word.is_empty()));
    let matching = |pattern: &String| Expected::matching(pattern).map_err(TrustError::from);
    match (text, pattern) {
        (Some(text), _) => Ok(Some(Expected::exactly(text))),
        (None, pattern) => Ok(pattern.map(matching).transpose()?),
    }
}

fn web(registry: &RegistryArgs, idle: Duration) -> Result<Web, KeylessError> {
    Web::new(&registry.options(), idle).map_err(|source| KeylessError::Network { source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_told_with_one() {
        for (text, why) in [
            ("fulcio.example.com", "write https://fulcio.example.com"),
            ("localhost:8080/x", "write https://localhost:8080/x"),
            ("//fulcio.example.com", "write https://fulcio.example.com"),
            ("ftp://fulcio.example.com", "not by ftp"),
            ("https://", "empty host"),
            ("mailto:a@b.c", "no scheme"),
        ] {
            let error = service_url(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(service_url("https://fulcio.example.com/x").is_ok() && service_url("http://127.0.0.1:8080").is_ok());
    }

    #[test]
    fn says_what_is_missing_of_whom_to_trust() {
        let only = |identity: &str| CertificateArgs { certificate_identity: Some(identity.to_owned()), ..CertificateArgs::default() };
        let error = only("a@x").certificates(&RegistryArgs::default()).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(hint.contains("--certificate-oidc-issuer") && hint.contains("--trusted-root"), "{hint}");
        assert!(!hint.contains("--certificate-identity "));
        assert!(CertificateArgs::default().certificates(&RegistryArgs::default()).unwrap().is_none());
        let pattern = CertificateArgs { certificate_identity_regexp: Some("(".to_owned()), ..CertificateArgs::default() };
        assert_eq!(pattern.certificates(&RegistryArgs::default()).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn an_empty_word_is_nobody_and_no_pattern_that_everybody_fits() {
        let empty = CertificateArgs {
            certificate_identity_regexp: Some(String::new()),
            certificate_oidc_issuer: Some(String::new()),
            root: RootArgs { sigstore: Some(Instance::PublicGood), ..RootArgs::default() },
            ..CertificateArgs::default()
        };
        let hint = empty.certificates(&RegistryArgs::default()).unwrap_err().hint().unwrap();
        assert!(hint.contains("--certificate-identity (") && hint.contains("--certificate-oidc-issuer ("), "{hint}");
    }
}
