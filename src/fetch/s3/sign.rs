//! AWS's signature version 4: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>. Pure.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use url::Url;
use zeroize::Zeroizing;

use crate::fetch::proof::hex;
use crate::oci::{Digest, Timestamp};

/// The digest of no body.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Who signs, and for where.
pub(super) struct Signer<'a> {
    pub(super) key: &'a str,
    pub(super) secret: &'a str,
    pub(super) region: &'a str,
}

/// `20130524T000000Z`
pub(super) fn stamp(time: Timestamp) -> String {
    time.to_string().chars().filter(|character| !matches!(character, '-' | ':')).collect()
}

/// The host as the header `Host` has it.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl Signer<'_> {
    /// The header `Authorization` of a GET without a body. `headers` are in lower case; path and query of the URL are encoded as AWS
    /// wants, and the query is in order.
    pub(super) fn authorization(&self, url: &Url, headers: &[(&str, &str)], stamp: &str) -> String {
        let mut headers = headers.to_vec();
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().flat_map(|(name, value)| [name, ":", value.trim(), "\n"]).collect();
        let request = format!("GET\n{}\n{}\n{lines}\n{names}\n{EMPTY}", url.path(), url.query().unwrap_or_default());
        let scope = format!("{}/{}/s3/aws4_request", stamp.get(..8).unwrap_or_default(), self.region);
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", Digest::of(request.as_bytes()).hex());
        let signature = hex(sign(&self.derived(&scope), text.as_bytes()).as_ref());
        format!("AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}", self.key)
    }

    /// The key of a day, a region and a service.
    fn derived(&self, scope: &str) -> Key {
        let first = Zeroizing::new(format!("AWS4{}", self.secret));
        let first = Key::new(HMAC_SHA256, first.as_bytes());
        scope.split('/').fold(first, |key, part| Key::new(HMAC_SHA256, sign(&key, part.as_bytes()).as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNER: Signer<'_> =
        Signer { key: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region: "us-east-1" };

    /// The examples of <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
    #[test]
    fn signs_as_amazons_own_examples() {
        let stamp = stamp(Timestamp::from_seconds(1_369_353_600));
        assert_eq!(stamp, "20130524T000000Z");
        let common = [("host", "examplebucket.s3.amazonaws.com"), ("x-amz-content-sha256", EMPTY), ("x-amz-date", stamp.as_str())];
        let ranged: Vec<_> = common.iter().copied().chain([("range", "bytes=0-9")]).collect();
        for (url, headers, signature) in [
            (
                "https://examplebucket.s3.amazonaws.com/test.txt",
                ranged.as_slice(),
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "https://examplebucket.s3.amazonaws.com/?lifecycle=",
                &common,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
                &common,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let header = SIGNER.authorization(&url.parse().unwrap(), headers, &stamp);
            assert!(header.ends_with(&format!("Signature={signature}")), "{url}: {header}");
            assert!(header.starts_with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"));
        }
    }

    #[test]
    fn the_host_is_signed_with_its_port_where_that_is_sent() {
        for (url, expected) in
            [("https://a.example:443/", "a.example"), ("http://a.example:9000/", "a.example:9000"), ("http://[::1]:1/", "[::1]:1")]
        {
            assert_eq!(host(&url.parse().unwrap()), expected);
        }
    }
}
