//! The stand-in for Sigstore's services is good enough to judge by: the `sigstore-*` crates sign with it and verify what came of that, and it
//! refuses what the real services refuse.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigstore_crypto::KeyPair;
use sigstore_fulcio::FulcioClient;
use sigstore_oidc::IdentityToken;
use sigstore_rekor::{HashedRekord, HashedRekordV2, RekorClient, RekorV2Client, RekorV2KeyDetails};
use sigstore_trust_root::{SigningConfig, TrustedRoot, TufBootstrap, TufConfig, fetch_trust_material};
use sigstore_types::{Bundle, DerCertificate, Sha256Hash, SignatureBytes};
use sigstore_verify::{VerificationPolicy, Verifier};

use crate::support::sigstore::by_crates::{Log, run, sign_bytes, sign_statement};
use crate::support::sigstore::{CLUSTER, Claims, Fault, Options, PROVIDER, Service, Sigstore};
use crate::support::{clean_command, need, run as run_program, temp_dir};

const ACCOUNT: &str = "https://kubernetes.io/namespaces/models/serviceaccounts/release";
const ARTIFACT: &[u8] = b"a manifest";

fn account() -> Claims {
    Claims::service_account("models", "release")
}

fn statement() -> Vec<u8> {
    let digest = sigstore_crypto::sha256(ARTIFACT).to_hex();
    let predicate = "https://sigstore.dev/cosign/sign/v1";
    json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": digest}}], "predicateType": predicate, "predicate": {}})
        .to_string()
        .into_bytes()
}

/// What the crates say of a bundle, which is taken through its JSON as on disk.
fn verify(root: &Value, bundle: &Bundle, policy: &VerificationPolicy) -> Result<(), String> {
    let root = TrustedRoot::from_json(&root.to_string()).unwrap();
    let bundle = Bundle::from_json(&bundle.to_json().unwrap()).unwrap();
    let result = Verifier::new(&root).unwrap().verify(ARTIFACT, &bundle, policy).map_err(|error| error.to_string())?;
    assert!(result.certificate_verified() && result.sct_verified() && result.tlog_verified());
    Ok(())
}

#[test]
fn bundles_of_every_kind_of_log_verify() {
    let services = Sigstore::start(&Options::default());
    let (token, policy) = (services.token(&account()), VerificationPolicy::new(ACCOUNT, CLUSTER));
    for log in Log::ALL {
        for bundle in [sign_bytes(&services, &token, ARTIFACT, log), sign_statement(&services, &token, &statement(), log)] {
            verify(&services.trusted_root(), &bundle.unwrap(), &policy).unwrap_or_else(|why| panic!("{log:?}: {why}"));
        }
    }
    assert_eq!(services.requests(Service::Fulcio), ["POST /api/v2/signingCert"; 6]);
    assert_eq!(services.requests(Service::Rekor).len(), 4);
    assert_eq!(services.requests(Service::RekorV2).len(), 2);
    assert_eq!(services.requests(Service::Tsa), ["POST /api/v1/timestamp"; 4]);
}

#[test]
fn a_person_signs_with_a_verified_address() {
    let services = Sigstore::start(&Options::default());
    let claims = Claims::email("ci@example.com");
    let bundle = sign_bytes(&services, &services.token(&claims), ARTIFACT, Log::V1).unwrap();
    verify(&services.trusted_root(), &bundle, &VerificationPolicy::new("ci@example.com", PROVIDER)).unwrap();
    let unverified = services.token(&claims.with("email_verified", json!(false)));
    assert!(sign_bytes(&services, &unverified, ARTIFACT, Log::V1).is_err());
}

#[test]
fn other_identities_and_other_services_are_not_accepted() {
    let (services, others) = (Sigstore::start(&Options::default()), Sigstore::start(&Options::default()));
    let policy = VerificationPolicy::new(ACCOUNT, CLUSTER);
    for log in Log::ALL {
        let bundle = sign_bytes(&services, &services.token(&account()), ARTIFACT, log).unwrap();
        for wrong in [VerificationPolicy::new(format!("{ACCOUNT}2").as_str(), CLUSTER), VerificationPolicy::new(ACCOUNT, PROVIDER)] {
            assert!(verify(&services.trusted_root(), &bundle, &wrong).is_err());
        }
        // each part of the trusted root is needed, so each signature in the bundle is really looked at
        for part in ["certificateAuthorities", "ctlogs", "tlogs"] {
            let mut mixed = services.trusted_root();
            mixed[part] = others.trusted_root()[part].clone();
            assert!(verify(&mixed, &bundle, &policy).is_err(), "{log:?} with {part} of others");
        }
        let mut mixed = services.trusted_root();
        mixed["timestampAuthorities"] = others.trusted_root()["timestampAuthorities"].clone();
        assert_eq!(verify(&mixed, &bundle, &policy).is_ok(), log == Log::V1, "{log:?} with the time of others");
    }
}

#[test]
fn a_bad_token_gets_one_bare_sentence() {
    let services = Sigstore::start(&Options::default());
    let bad = [
        services.token(&account().expired()),
        services.token(&account().for_audience("kubernetes")),
        services.token(&account().with("iss", json!("https://kubernetes.default.svc/"))),
        services.token(&account().with("nbf", json!(u32::MAX))),
        services.token(&account().with("kubernetes.io", Value::Null)),
        services.forged_token(&account()),
    ];
    for token in bad {
        let error = sign_bytes(&services, &token, ARTIFACT, Log::V1).unwrap_err().to_string();
        let sentence = r#"{"code":3,"details":[],"message":"There was an error processing the identity token"}"#;
        assert!(error.contains("400") && error.contains(sentence), "{error}");
    }
    assert!(services.requests(Service::Rekor).is_empty());
}

#[test]
fn fulcio_wants_its_own_audience_and_the_key_of_the_certificate() {
    let services = Sigstore::start(&Options { audience: "trusted-artifact-signer".to_owned(), ..Options::default() });
    assert!(sign_bytes(&services, &services.token(&account()), ARTIFACT, Log::V1).is_err());
    let token = services.token(&account().for_audience("trusted-artifact-signer"));
    assert!(sign_bytes(&services, &token, ARTIFACT, Log::V1).is_ok());

    let (key, other) = (KeyPair::generate_ecdsa_p256().unwrap(), KeyPair::generate_ecdsa_p256().unwrap());
    let proof = other.sign(b"system:serviceaccount:models:release").unwrap();
    let request = json!({
        "credentials": {"oidcIdentityToken": token},
        "publicKeyRequest": {"publicKey": {"content": key.public_key_der().unwrap().to_pem()}, "proofOfPossession": proof},
    });
    let (status, answer) = post(&format!("{}/api/v2/signingCert", services.fulcio_url), &request);
    assert_eq!((status, &answer["message"]), (400, &json!("The signature supplied in the request could not be verified")));
}

#[test]
fn fulcio_tells_its_issuers_and_its_chain() {
    let services = Sigstore::start(&Options::default());
    let fulcio = FulcioClient::new(&services.fulcio_url).unwrap();
    let issuers = run(fulcio.get_configuration()).unwrap().issuers;
    assert_eq!(issuers.iter().map(|issuer| issuer.audience.as_str()).collect::<Vec<_>>(), ["sigstore"; 2]);
    // sigstore-fulcio 0.15.1 wants a member "chain" around "certificates", which the protocol does not have
    assert!(run(fulcio.get_trust_bundle()).is_err());
    let bundle = run(async { reqwest::get(format!("{}/api/v2/trustBundle", services.fulcio_url)).await.unwrap().bytes().await.unwrap() });
    let bundle: Value = serde_json::from_slice(&bundle).unwrap();
    let chain: Vec<&str> = bundle["chains"][0]["certificates"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(chain.concat(), services.fulcio_chain());
}

/// A signed hash as the logs take it.
struct Signed {
    hash: Sha256Hash,
    signature: SignatureBytes,
    certificate: DerCertificate,
}

fn signed(services: &Sigstore) -> Signed {
    let key = KeyPair::generate_ecdsa_p256().unwrap();
    let token = IdentityToken::from_jwt(&services.token(&account())).unwrap();
    let issued = run(FulcioClient::new(&services.fulcio_url).unwrap().create_signing_certificate(&token, &key)).unwrap();
    let certificate = issued.leaf_certificate().clone();
    Signed { hash: sigstore_crypto::sha256(ARTIFACT), signature: key.sign(ARTIFACT).unwrap(), certificate }
}

#[test]
fn rekor_finds_entries_again_and_says_so_of_equal_ones() {
    let services = Sigstore::start(&Options::default());
    let rekor = RekorClient::new(&services.rekor_url).unwrap();
    let Signed { hash, signature, certificate } = signed(&services);
    let entry = run(rekor.create_entry(HashedRekord::new(&hash, &signature, &certificate))).unwrap();
    let again = run(rekor.create_entry(HashedRekord::new(&hash, &signature, &certificate))).unwrap_err().to_string();
    assert!(again.contains("409") && again.contains(&entry.uuid.to_string()), "{again}");
    for found in [run(rekor.get_entry_by_uuid(&entry.uuid)).unwrap(), run(rekor.get_entry_by_index(entry.log_index)).unwrap()] {
        assert_eq!((found.uuid.to_string(), &found.body), (entry.uuid.to_string(), &entry.body));
    }
    let proof = entry.verification.unwrap().inclusion_proof.unwrap();
    assert!(proof.log_index.get() < entry.log_index.get() && !proof.hashes.is_empty());
    assert!(!String::from_utf8_lossy(entry.body.as_bytes()).contains("DQot"), "CRLF in the PEM of the body");

    let path = format!("{}/api/v1/log/entries/{}", services.rekor_url, "0".repeat(64));
    assert_eq!(run(async { reqwest::get(path).await.unwrap().status() }), 404);
}

#[test]
fn the_logs_refuse_signatures_of_other_bytes() {
    let services = Sigstore::start(&Options::default());
    let Signed { signature, certificate, .. } = signed(&services);
    let other = sigstore_crypto::sha256(b"another manifest");
    let refused = run(RekorClient::new(&services.rekor_url).unwrap().create_entry(HashedRekord::new(&other, &signature, &certificate)));
    assert!(refused.unwrap_err().to_string().contains("invalid signature"));
    let request = HashedRekordV2::new_with_certificate(&other, &signature, &certificate, RekorV2KeyDetails::PkixEcdsaP256Sha256);
    let refused = run(RekorV2Client::new(&services.rekor_v2_url).unwrap().create_entry(request));
    assert!(refused.unwrap_err().to_string().contains("invalid signature"));
}

#[test]
fn the_second_log_takes_bare_keys_and_says_so_of_equal_entries() {
    let services = Sigstore::start(&Options::default());
    let key = KeyPair::generate_ecdsa_p256().unwrap();
    let (hash, signature) = (sigstore_crypto::sha256(ARTIFACT), key.sign(ARTIFACT).unwrap());
    let public = key.public_key_der().unwrap();
    let request = || HashedRekordV2::new_with_public_key(&hash, &signature, &public, RekorV2KeyDetails::PkixEcdsaP256Sha256);
    let log = RekorV2Client::new(&services.rekor_v2_url).unwrap();
    let entry = run(log.create_entry(request())).unwrap();
    assert!(run(log.create_entry(request())).unwrap_err().to_string().contains("409"));
    assert_eq!(run(log.get_checkpoint()).unwrap().tree_size(), entry.log_index.get() + 1);
}

#[test]
fn services_fail_as_told_and_recover() {
    let services = Sigstore::start(&Options::default());
    let token = services.token(&account());
    let sign = || sign_bytes(&services, &token, ARTIFACT, Log::V1);
    services.fail(Service::Rekor, Fault::Status(502), 2);
    assert!(sign().unwrap_err().to_string().contains("502"));
    assert!(sign().is_err());
    assert!(sign().is_ok());
    for fault in [Fault::CloseConnection, Fault::Garbage] {
        services.fail(Service::Fulcio, fault, usize::MAX);
        assert!(sign().is_err() && sign().is_err(), "{fault:?}");
        services.heal(Service::Fulcio);
        assert!(sign().is_ok(), "{fault:?}");
    }
    assert_eq!(services.requests(Service::Fulcio).len(), 9);
}

#[test]
fn an_answer_that_is_lost_leaves_an_entry_behind() {
    let services = Sigstore::start(&Options::default());
    let Signed { hash, signature, certificate } = signed(&services);
    let rekor = RekorClient::new(&services.rekor_url).unwrap();
    services.fail(Service::Rekor, Fault::LoseAnswer, 1);
    let answers = [(); 2].map(|()| run(rekor.create_entry(HashedRekord::new(&hash, &signature, &certificate))).unwrap_err().to_string());
    assert!(!answers[0].contains("409") && answers[1].contains("409"), "{answers:?}");
}

#[test]
fn a_hanging_service_ends_with_its_client_or_with_the_stand_in() {
    let services = Sigstore::start(&Options::default());
    services.fail(Service::Tsa, Fault::Hang, 1);
    let client = reqwest::Client::builder().timeout(Duration::from_millis(100)).build().unwrap();
    let error = run(async { client.post(&services.tsa_url).send().await }).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    services.fail(Service::Tsa, Fault::Hang, 1);
    let (url, began) = (services.tsa_url.clone(), Instant::now());
    let waiting = std::thread::spawn(move || run(async { reqwest::Client::new().post(url).send().await.is_err() }));
    while services.requests(Service::Tsa).len() < 2 {
        std::thread::yield_now();
    }
    drop(services);
    assert!(waiting.join().unwrap());
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_huge_answer_does_not_end() {
    let services = Sigstore::start(&Options::default());
    services.fail(Service::Fulcio, Fault::Huge, 1);
    let read = run(async {
        let mut answer = reqwest::get(format!("{}/api/v2/configuration", services.fulcio_url)).await.unwrap();
        let mut read = 0;
        while read < 8 << 20 {
            read += answer.chunk().await.unwrap().unwrap().len();
        }
        read
    });
    assert!(read >= 8 << 20);
}

#[test]
fn the_signing_config_names_the_services_asked_for() {
    let services = Sigstore::start(&Options::default());
    let config = |named: &[Service]| SigningConfig::from_json(&services.signing_config(named).to_string()).unwrap();
    let all = config(&Service::SIGNING);
    assert_eq!(all.fulcio_url().unwrap().url, services.fulcio_url);
    assert_eq!(all.rekor_url(None).unwrap().url, services.rekor_v2_url);
    assert_eq!(all.rekor_url(Some(1)).unwrap().url, services.rekor_url);
    assert_eq!(all.tsa_url().unwrap().url, services.tsa_url);
    let old = config(&[Service::Fulcio, Service::Rekor]);
    assert!(old.tsa_url().is_none());
    assert_eq!(old.rekor_url(None).unwrap().url, services.rekor_url);
}

#[test]
fn the_tuf_repository_hands_out_the_trusted_root_until_it_expires() {
    let services = Sigstore::start(&Options::default());
    let ask = |url: &str, root: &str| run(fetch_trust_material(TufConfig::custom(url, TufBootstrap::trusted(root)).without_cache()));
    let (root, config) = ask(&services.tuf_url, &services.tuf_root).unwrap();
    assert_eq!(root.tlogs.len(), 2);
    assert_eq!(config.fulcio_url().unwrap().url, services.fulcio_url);
    let expired = Sigstore::start(&Options { tuf_expires: "2024-01-02T00:00:00Z", ..Options::default() });
    let why = ask(&expired.tuf_url, &expired.tuf_root).unwrap_err().to_string();
    assert!(why.contains("expired"), "{why}");
    assert!(ask(&services.tuf_url, &expired.tuf_root).is_err(), "the keys of others");
}

#[test]
fn cosign_takes_the_tuf_repository() {
    let Some(cosign) = need("cosign") else { return };
    let (services, home) = (Sigstore::start(&Options::default()), temp_dir());
    let root = home.path().join("root.json");
    std::fs::write(&root, &services.tuf_root).unwrap();
    run_program(clean_command(cosign, home.path()).args(["initialize", "--mirror", &services.tuf_url, "--root"]).arg(root));
    let asked = services.requests(Service::Tuf);
    assert!(asked.iter().any(|path| path.ends_with(".trusted_root.json")), "{asked:?}");
}

/// The other client of the field finds nothing missing.
#[test]
fn cosign_signs_with_every_kind_of_log() {
    let Some(cosign) = need("cosign") else { return };
    let (services, home) = (Sigstore::start(&Options::default()), temp_dir());
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write("artifact", std::str::from_utf8(ARTIFACT).unwrap());
    write("trusted_root.json", &services.trusted_root().to_string());
    write("token", &services.token(&account()));
    let policy = VerificationPolicy::new(ACCOUNT, CLUSTER);
    for rekor in [Service::Rekor, Service::RekorV2] {
        write("signing_config.json", &services.signing_config(&[Service::Fulcio, rekor, Service::Tsa]).to_string());
        let mut command = clean_command(&cosign, home.path());
        command.current_dir(home.path()).args([
            "sign-blob",
            "--yes",
            "--identity-token",
            "token",
            "--signing-config",
            "signing_config.json",
        ]);
        run_program(command.args(["--trusted-root", "trusted_root.json", "--bundle", "bundle.json", "artifact"]));
        let bundle = Bundle::from_json(&std::fs::read_to_string(home.path().join("bundle.json")).unwrap()).unwrap();
        verify(&services.trusted_root(), &bundle, &policy).unwrap_or_else(|why| panic!("{rekor:?}: {why}"));
        assert_eq!(services.requests(rekor).len(), 1);
    }
}

#[test]
fn the_time_stamp_authority_takes_queries_and_nothing_else() {
    let services = Sigstore::start(&Options::default());
    let status = |kind: &'static str, body: &'static [u8]| {
        let request = reqwest::Client::new().post(&services.tsa_url).header("content-type", kind).body(body);
        run(async { request.send().await.unwrap().status().as_u16() })
    };
    assert_eq!(status("application/json", b"{}"), 415);
    assert_eq!(status("application/timestamp-query", b"{}"), 400);
}

fn post(url: &str, body: &Value) -> (u16, Value) {
    run(async {
        let request = reqwest::Client::new().post(url).header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    })
}
