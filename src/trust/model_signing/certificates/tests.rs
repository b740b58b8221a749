use super::*;
use crate::trust::PrivateKey;
use crate::trust::model_signing::testing::{Authority, future, past, pem, today};

fn chain(text: &str) -> CertificateChain {
    read_pem(text.as_bytes()).and_then(CertificateChain::of_der).unwrap()
}

fn trusting(authorities: &[&Authority]) -> Authorities {
    let certificates: Vec<_> = authorities.iter().map(|authority| &authority.certificate).collect();
    read_pem(pem(&certificates).as_bytes()).and_then(Authorities::of_der).unwrap()
}

#[test]
fn follows_the_chain_to_an_authority_and_only_a_trusted_one() {
    let (root, other) = (Authority::root("CN=root", 1), Authority::root("CN=other", 2));
    let middle = root.below("CN=middle", 3);
    let key = PrivateKey::generate().unwrap().public();
    let leaf = middle.issue(&key, today());
    let whole = chain(&pem(&[&leaf, &middle.certificate, &root.certificate]));
    assert_eq!(whole.key().unwrap(), key);
    assert_eq!(whole.subject().unwrap(), "CN=models,O=Example");
    let now = SystemTime::now();
    assert_eq!(whole.verify(&trusting(&[&other, &root]), now), Ok(()));
    // the authority in the middle may be trusted itself, and an authority need not be in the chain
    assert_eq!(whole.verify(&trusting(&[&middle]), now), Ok(()));
    assert_eq!(chain(&pem(&[&leaf, &middle.certificate])).verify(&trusting(&[&root]), now), Ok(()));
    for (chain, authorities) in
        [(&whole, trusting(&[&other])), (&whole, Authorities::default()), (&chain(&pem(&[&leaf])), trusting(&[&root]))]
    {
        let error = chain.verify(&authorities, now).unwrap_err().to_string();
        assert_eq!(error, "the certificate of CN=models,O=Example is not trusted: no trusted authority issued it");
    }
}

#[test]
fn a_certificate_counts_while_it_is_valid_and_for_signing() {
    let root = Authority::root("CN=root", 1);
    let key = PrivateKey::generate().unwrap().public();
    let table = [
        (root.issue(&key, past()), "has expired"),
        (root.issue(&key, future()), "is not valid yet"),
        (root.issue_without_extensions(&key), "not for signing"),
        (root.certificate.clone(), "an authority's own certificate"),
    ];
    for (leaf, reason) in table {
        let error = chain(&pem(&[&leaf])).verify(&trusting(&[&root]), SystemTime::now()).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn a_forged_link_in_the_chain_is_found() {
    let (root, forger) = (Authority::root("CN=root", 1), Authority::root("CN=root", 2));
    let leaf = forger.issue(&PrivateKey::generate().unwrap().public(), today());
    assert!(chain(&pem(&[&leaf])).verify(&trusting(&[&root]), SystemTime::now()).is_err());
}

#[test]
fn refuses_files_that_hold_no_certificates_or_too_many() {
    let root = Authority::root("CN=root", 1);
    let read = |text: &str| read_pem(text.as_bytes()).and_then(CertificateChain::of_der).unwrap_err().to_string();
    assert_eq!(read(""), "it holds no PEM certificates");
    assert_eq!(read(&PrivateKey::generate().unwrap().public().to_pem()), "it holds no PEM certificates");
    let many = pem(&[&root.certificate; MAX_CERTIFICATES + 1]);
    assert_eq!(read(&many), "it holds 17 certificates, at most 16 are read");
    let damaged = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    assert!(read(damaged).contains("certificate 1 is damaged"));
}

#[test]
fn names_the_file_it_cannot_use() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("chain.pem");
    std::fs::write(&file, "hello").unwrap();
    for error in [CertificateChain::load(&file).unwrap_err(), Authorities::load(&file).unwrap_err()] {
        assert!(error.to_string().contains("chain.pem"), "{error}");
    }
    assert!(matches!(CertificateChain::load(&home.path().join("none")), Err(ModelSigningError::Trust(_))));
}
