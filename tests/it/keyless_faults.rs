//! Keyless signing while the services fail, without waiting: the library's own pauses are taken out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use modelcar::oci::{Location, RawManifest, Timestamp};
use modelcar::store::registry::Web;
use modelcar::store::{self, Access, Store, StoreOptions};
use modelcar::trust::{
    Certificates, Consumer, Expected, Format, Outcome, Rekor, RekorVersion, Scope, Services, Session, SessionOptions, SignReport,
    SignRequest, Signer, TokenSource, TrustError, TrustRoot, Trusted, VerifyRequest, sign, verify,
};
use serde_json::{Value, json};

use crate::support::sigstore::{CLUSTER, Claims, Fault, Options, Service, Sigstore};
use crate::support::{modelcar, repo_root, run, temp_dir};

const NAME: &str = "quay.io/o/iris:v1";
/// Longer than a loaded machine takes to answer, short enough to be waited for five times.
const IDLE: Duration = Duration::from_secs(2);

struct Bench {
    home: tempfile::TempDir,
    services: Sigstore,
    store: Box<dyn Store>,
    manifest: RawManifest,
}

impl Bench {
    fn new() -> Self {
        Self::with(&Options::default())
    }

    fn with(options: &Options) -> Self {
        let (home, services) = (temp_dir(), Sigstore::start(options));
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        let out = format!("oci:{}", home.path().join("layout").display());
        run(modelcar(home.path()).args(["build", "-q", "-t", NAME, "-o", &out, "--platform", "linux/amd64"]).arg(model));
        let (store, location) = open(home.path());
        let (_, manifest) = store::resolve(store.as_ref(), &location).unwrap();
        Self { home, services, store, manifest }
    }

    fn services(&self) -> Services {
        let log = Rekor { url: self.services.rekor_url.parse().unwrap(), version: RekorVersion::V1 };
        Services::new(self.services.fulcio_url.parse().unwrap(), Some(log), Some(self.services.tsa_url.parse().unwrap())).unwrap()
    }

    fn root(json: &Value) -> Arc<TrustRoot> {
        Arc::new(TrustRoot::from_json(&json.to_string(), "R").unwrap())
    }

    fn signer(&self, services: Services, root: Option<Arc<TrustRoot>>) -> Signer {
        let token = self.home.path().join("token");
        std::fs::write(&token, self.services.token(&Claims::service_account("ml", "builder"))).unwrap();
        let web = Web::new(&StoreOptions::default(), IDLE).unwrap().pausing(|_| {});
        let options = SessionOptions { services, root, token: TokenSource::File(token), audience: "sigstore".to_owned(), web };
        Signer::Keyless(Box::new(Session::start(options).unwrap().0))
    }

    fn sign_with(&self, services: Services, root: &Value) -> Result<SignReport, TrustError> {
        self.sign_by(&self.signer(services, Some(Self::root(root))))
    }

    fn sign_by(&self, signer: &Signer) -> Result<SignReport, TrustError> {
        sign(&SignRequest {
            store: self.store.as_ref(),
            manifest: self.manifest.clone(),
            identities: &[NAME.to_owned()],
            signer,
            scope: Scope::All,
        })
    }

    fn sign(&self) -> Result<SignReport, TrustError> {
        self.sign_with(self.services(), &self.services.trusted_root())
    }

    fn is_verified(&self, root: &Value) -> bool {
        let whose = modelcar::trust::CertificateIdentity {
            identity: Expected::matching("/serviceaccounts/builder$").unwrap(),
            issuer: Expected::exactly(CLUSTER),
        };
        let trusted = Trusted { certificates: Some(Certificates::new(vec![whose], Self::root(root))), ..Trusted::default() };
        let (store, manifest) = (self.store.as_ref(), self.manifest.clone());
        let request = VerifyRequest {
            store,
            manifest,
            trusted: &trusted,
            identity: Some(NAME),
            consumers: &[Consumer::CosignV3],
            required: &[],
            now: Timestamp::now(),
            layers: None,
            just_signed: None,
        };
        let report = verify(&request).unwrap();
        report.refusals().is_empty()
    }

    fn count(&self, service: Service, request: &str) -> usize {
        self.services.requests(service).iter().filter(|seen| seen.starts_with(request)).count()
    }
}

/// The layout in a home, and the image in it.
fn open(home: &Path) -> (Box<dyn Store>, Location) {
    let location: Location = format!("oci:{}:{NAME}", home.join("layout").display()).parse().unwrap();
    (store::open(&location, Access::Write, &StoreOptions::default()).unwrap(), location)
}

/// The whole story of an error in one line.
fn story(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn services_that_fail_for_a_while_are_asked_again() {
    for (service, fault, times) in [
        (Service::Rekor, Fault::Status(502), 3),
        (Service::Rekor, Fault::Status(429), 2),
        (Service::Rekor, Fault::CloseConnection, 2),
        (Service::Fulcio, Fault::Status(503), 3),
        (Service::Tsa, Fault::Status(500), 3),
        (Service::Tsa, Fault::LoseAnswer, 1),
    ] {
        let bench = Bench::new();
        bench.services.fail(service, fault, times);
        bench.sign().unwrap_or_else(|error| panic!("{service:?} {fault:?}: {}", story(&error)));
        assert!(bench.is_verified(&bench.services.trusted_root()), "{service:?} {fault:?}");
    }
}

#[test]
fn an_entry_that_is_there_already_is_success() {
    // The log writes the entry and its answer is lost, so the second try meets the first: status 409.
    let bench = Bench::new();
    bench.services.fail(Service::Rekor, Fault::LoseAnswer, 1);
    bench.sign().unwrap();
    assert!(bench.is_verified(&bench.services.trusted_root()));
    assert_eq!(bench.count(Service::Rekor, "GET /api/v1/log/entries/"), 1, "{:?}", bench.services.requests(Service::Rekor));
    // A log of version 2 does not show what it has; another signature is another entry.
    let bench = Bench::new();
    let log = Rekor { url: bench.services.rekor_v2_url.parse().unwrap(), version: RekorVersion::V2 };
    let tsa = Some(bench.services.tsa_url.parse().unwrap());
    let services = Services::new(bench.services.fulcio_url.parse().unwrap(), Some(log), tsa).unwrap();
    bench.services.fail(Service::RekorV2, Fault::LoseAnswer, 1);
    assert_eq!(bench.sign_with(services, &bench.services.trusted_root()).unwrap().signatures.len(), 2);
    assert_eq!(bench.count(Service::RekorV2, "POST"), 4, "lost, refused, signed anew; and the other manifest");
}

#[test]
fn a_service_that_stays_away_is_named_with_what_is_public() {
    for (service, fault, words) in [
        (Service::Rekor, Fault::Hang, "Rekor did not log the signature: POST http://127.0.0.1:PORT/api/v1/log/entries made no progress"),
        (
            Service::Rekor,
            Fault::Status(502),
            "Rekor did not log the signature: POST http://127.0.0.1:PORT/api/v1/log/entries was answered with status 502",
        ),
        (Service::Rekor, Fault::Status(400), "was answered with status 400"),
        (Service::Rekor, Fault::Garbage, "Rekor gave an answer that cannot be used"),
        (Service::Rekor, Fault::Huge, "it is longer than 1048576 bytes"),
        (Service::Fulcio, Fault::Huge, "it is longer than 262144 bytes"),
        (Service::Fulcio, Fault::Status(500), "Fulcio did not give a certificate"),
        (Service::Tsa, Fault::Garbage, "the time-stamp authority gave an answer that cannot be used: it grants no time stamp"),
    ] {
        let bench = Bench::new();
        let signer = bench.signer(bench.services(), Some(Bench::root(&bench.services.trusted_root())));
        bench.services.fail(service, fault, usize::MAX);
        let error = bench.sign_by(&signer).unwrap_err();
        let TrustError::Incomplete { signed, .. } = &error else { panic!("{error:?}") };
        // Bundles come after all classic signatures, and only they are stamped.
        let classic = signed.signatures.iter().filter(|signature| signature.format == Format::Classic).count();
        assert_eq!((classic, signed.signatures.len()), if service == Service::Tsa { (2, 2) } else { (0, 0) }, "{service:?}");
        assert_eq!(error.exit_code(), 4);
        let story = without_ports(&story(&error));
        assert!(story.contains(words), "{service:?} {fault:?}: {story}");
        assert!(error.hint().unwrap().contains("run the same command again: nothing is sent or signed twice"));
        bench.services.heal(service);
        bench.sign().unwrap();
        assert!(bench.is_verified(&bench.services.trusted_root()));
    }
}

fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "127.0.0.1:PORT" + part.trim_start_matches(|character: char| character.is_ascii_digit()))
}

#[test]
fn a_certificate_that_is_about_to_end_is_renewed() {
    let short = Bench::with(&Options { lifetime: Duration::from_secs(45), ..Options::default() });
    short.sign().unwrap();
    assert!(short.count(Service::Fulcio, "POST") > 1);
    assert!(short.is_verified(&short.services.trusted_root()));
    let long = Bench::new();
    long.sign().unwrap();
    assert_eq!((long.count(Service::Fulcio, "POST"), long.count(Service::Fulcio, "GET")), (1, 1));
}

#[test]
fn what_the_trusted_root_does_not_know_is_not_published() {
    let (bench, other) = (Bench::new(), Sigstore::start(&Options::default()));
    let error = bench.sign_with(bench.services(), &other.trusted_root()).unwrap_err();
    assert!(story(&error).contains("what the services gave does not pass with the trusted root"), "{}", story(&error));
    let TrustError::Incomplete { signed, .. } = error else { panic!("{error:?}") };
    assert!(signed.signatures.is_empty());
}

#[test]
fn a_time_stamp_is_enough_where_the_trusted_root_has_no_log() {
    let bench = Bench::new();
    let stamped =
        || Services::new(bench.services.fulcio_url.parse().unwrap(), None, Some(bench.services.tsa_url.parse().unwrap())).unwrap();
    let root = bench.services.trusted_root();
    let error = story(&bench.sign_with(stamped(), &root).unwrap_err());
    assert!(error.contains("there is none, and the trusted root has a log"), "{error}");
    let mut without_logs = root;
    without_logs["tlogs"] = json!([]);
    let report = bench.sign_with(stamped(), &without_logs).unwrap();
    assert!(report.signatures.iter().all(|signature| signature.format == Format::Bundle) && report.warnings.len() == 1);
}

#[test]
fn a_forged_signature_does_not_pass_for_the_signers_own() {
    // Everybody can run a certificate authority that writes the signer's name, and attach what it certifies.
    let (bench, forger) = (Bench::new(), Sigstore::start(&Options::default()));
    let forged = Bench { services: forger, store: open(bench.home.path()).0, manifest: bench.manifest.clone(), home: temp_dir() };
    forged.sign().unwrap();
    assert!(forged.is_verified(&forged.services.trusted_root()) && !bench.is_verified(&bench.services.trusted_root()));
    for outcome in [Outcome::Added, Outcome::AlreadyThere] {
        let report = bench.sign_by(&bench.signer(bench.services(), None)).unwrap();
        assert!(report.signatures.iter().all(|signature| signature.outcome == outcome), "{report:?}");
        assert!(bench.is_verified(&bench.services.trusted_root()));
    }
}
