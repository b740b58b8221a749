//! PEM as the certificates of signatures use it: LF line ends, because podman compares the text.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use sigstore_types::DerCertificate;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::trust::keys::pem_block;

/// Chains have two to four.
const MAX_CERTIFICATES: usize = 16;
/// Of one chain, in bytes.
const MAX_TEXT: usize = 128 << 10;
/// id-kp-codeSigning, 1.3.6.1.5.5.7.3.3, as the bytes of its OID.
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
const END: &str = "-----END CERTIFICATE-----";

/// One PEM block.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    pem_block(label, der).to_string()
}

/// A certificate.
pub(super) fn write(certificate: &DerCertificate) -> String {
    pem("CERTIFICATE", certificate.as_bytes())
}

/// The certificates of a text, in order; none is no error.
pub(super) fn read(text: &str) -> Result<Vec<DerCertificate>, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("its certificates have {} bytes, at most {MAX_TEXT} are read", text.len()));
    }
    let blocks: Vec<&str> = text.split_inclusive(END).filter(|block| block.contains("-----BEGIN")).collect();
    if blocks.len() > MAX_CERTIFICATES {
        return Err(format!("it has {} certificates, at most {MAX_CERTIFICATES} are read", blocks.len()));
    }
    let parsed = blocks.into_iter().map(|block| DerCertificate::from_pem(block.trim()).map_err(|error| error.to_string()));
    parsed.collect()
}

/// Whether one of these authorities has issued a certificate for signing, which was valid at this time: seconds since 1970.
pub(super) fn is_issued_by(certificate: &DerCertificate, authorities: &[DerCertificate], time: u64) -> bool {
    let authorities: Vec<CertificateDer<'_>> = authorities.iter().map(|authority| authority.as_bytes().into()).collect();
    let anchors: Vec<_> = authorities.iter().filter_map(|authority| anchor_from_trusted_cert(authority).ok()).collect();
    let (der, time) = (CertificateDer::from(certificate.as_bytes()), UnixTime::since_unix_epoch(Duration::from_secs(time)));
    let Ok(certificate) = EndEntityCert::try_from(&der) else { return false };
    let usage = KeyUsage::required(CODE_SIGNING);
    certificate.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], time, usage, None, None).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_what_others_write() {
        let [one, two] = [b"one", b"two"].map(|bytes| DerCertificate::new(bytes.repeat(40)));
        let text = write(&one) + &write(&two);
        assert!(!text.contains('\r') && text.ends_with("-----END CERTIFICATE-----\n"));
        let both = vec![one, two];
        assert_eq!(read(&text).unwrap(), both);
        assert_eq!(read(&text.replace('\n', "\r\n")).unwrap(), both);
        assert_eq!(read("").unwrap(), vec![]);
    }

    #[test]
    fn bounds_what_it_reads() {
        let one = write(&DerCertificate::new(vec![1]));
        assert!(read(&one.repeat(MAX_CERTIFICATES)).is_ok());
        assert!(read(&one.repeat(MAX_CERTIFICATES + 1)).unwrap_err().contains("17"));
        assert!(read(&"x".repeat(MAX_TEXT + 1)).is_err());
        assert!(read("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----").is_err());
    }
}
