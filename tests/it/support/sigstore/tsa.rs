//! A time-stamp authority (RFC 3161): signs a hash with the time of now.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{Any, GeneralizedTime, Int, OctetString, SetOfVec};
use der::oid::ObjectIdentifier;
use der::{Decode as _, Encode as _, Sequence};
use x509_cert::attr::Attribute;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::http::{Answer, Request};
use super::pki::{self, Authority, TIME_STAMPING};

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

pub struct Tsa {
    pub root: Authority,
    pub signer: Authority,
}

#[derive(Clone, Sequence)]
struct Imprint {
    algorithm: AlgorithmIdentifierOwned,
    hash: OctetString,
}

impl Imprint {
    fn is_of_a_known_hash(&self) -> bool {
        [(SHA256, 32), (SHA384, 48), (SHA512, 64)].contains(&(self.algorithm.oid, self.hash.as_bytes().len()))
    }
}

#[derive(Sequence)]
struct Query {
    version: u8,
    imprint: Imprint,
    #[asn1(optional = "true")]
    policy: Option<ObjectIdentifier>,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
    #[asn1(default = "bool::default")]
    wants_certificate: bool,
}

#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    imprint: Imprint,
    serial: Int,
    time: GeneralizedTime,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
}

#[derive(Sequence)]
struct Status {
    status: u8,
}

#[derive(Sequence)]
struct Reply {
    status: Status,
    #[asn1(optional = "true")]
    token: Option<ContentInfo>,
}

impl Tsa {
    pub fn new() -> Self {
        let root = Authority::root("CN=stand-in tsa root,O=stand-in");
        let signer = root.service("CN=stand-in tsa,O=stand-in", TIME_STAMPING);
        Self { root, signer }
    }

    pub fn answer(&self, request: &Request) -> Answer {
        if request.what() != "POST /api/v1/timestamp" {
            return Answer::refused(404, "path not found");
        }
        if request.content_type != QUERY {
            return Answer::refused(415, format_args!("unsupported media type {}", request.content_type));
        }
        match Query::from_der(&request.body) {
            Ok(query) if query.version == 1 && query.imprint.is_of_a_known_hash() => Answer::new(201, REPLY, self.reply(query)),
            _ => Answer::refused(400, "Error parsing timestamp request"),
        }
    }

    fn reply(&self, query: Query) -> Vec<u8> {
        let mut serial = pki::random::<16>();
        serial[0] = serial[0] & 0x7f | 0x40;
        let info = TstInfo {
            version: 1,
            policy: POLICY,
            imprint: query.imprint,
            serial: Int::new(&serial).unwrap(),
            time: GeneralizedTime::from_unix_duration(pki::now()).unwrap(),
            nonce: query.nonce,
        };
        let token = self.sign(&info.to_der().unwrap(), query.wants_certificate);
        Reply { status: Status { status: 0 }, token: Some(token) }.to_der().unwrap()
    }

    /// `SignedData` (RFC 5652) around the statement of time.
    fn sign(&self, info: &[u8], with_certificate: bool) -> ContentInfo {
        let sha256 = AlgorithmIdentifierOwned { oid: SHA256, parameters: None };
        let content = Any::encode_from(&OctetString::new(info).unwrap()).unwrap();
        let certificate = CertificateChoices::Certificate(self.signer.certificate.clone());
        let data = SignedData {
            version: CmsVersion::V3,
            digest_algorithms: SetOfVec::try_from(vec![sha256.clone()]).unwrap(),
            encap_content_info: EncapsulatedContentInfo { econtent_type: TST_INFO, econtent: Some(content) },
            certificates: with_certificate.then(|| SetOfVec::try_from(vec![certificate]).unwrap().into()),
            crls: None,
            signer_infos: SetOfVec::try_from(vec![self.signer_info(info, sha256)]).unwrap().into(),
        };
        ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&data).unwrap() }
    }

    /// The signature is over the attributes, and one of these is the digest of what is signed.
    fn signer_info(&self, info: &[u8], sha256: AlgorithmIdentifierOwned) -> SignerInfo {
        let digest = OctetString::new(pki::sha256(info)).unwrap();
        let attributes = SetOfVec::try_from(vec![
            attribute(CONTENT_TYPE, Any::encode_from(&TST_INFO).unwrap()),
            attribute(MESSAGE_DIGEST, Any::encode_from(&digest).unwrap()),
            attribute(SIGNING_CERTIFICATE_V2, self.signing_certificate()),
        ])
        .unwrap();
        let signature = self.signer.key.sign(&attributes.to_der().unwrap());
        SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: self.root.name().clone(),
                serial_number: self.signer.certificate.tbs_certificate.serial_number.clone(),
            }),
            digest_alg: sha256,
            signed_attrs: Some(attributes),
            signature_algorithm: pki::ecdsa_with_sha256(),
            signature: OctetString::new(signature).unwrap(),
            unsigned_attrs: None,
        }
    }

    /// Which certificate signed (RFC 5816): a list of one, by its SHA-256.
    fn signing_certificate(&self) -> Any {
        let mut value = vec![0x30, 0x26, 0x30, 0x24, 0x30, 0x22, 0x04, 0x20];
        value.extend(pki::sha256(&self.signer.der()));
        Any::from_der(&value).unwrap()
    }
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Attribute {
    Attribute { oid, values: SetOfVec::try_from(vec![value]).unwrap() }
}
