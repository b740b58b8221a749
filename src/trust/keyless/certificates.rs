//! PEM as the certificates of signatures use it: LF line ends, because podman compares the text.

use sigstore_types::DerCertificate;

use crate::trust::keys::pem_block;

/// Chains have two to four.
const MAX_CERTIFICATES: usize = 16;
/// Of one chain, in bytes.
const MAX_TEXT: usize = 128 << 10;
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
