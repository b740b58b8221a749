//! Who asks, and where: AWS's own variables, or the folder of a mounted secret with the same names, as OpenShift AI's data connections have
//! them. Nothing is asked of an instance's metadata service.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use url::Url;
use zeroize::Zeroizing;

use super::sign::{EMPTY, Signer, host, stamp};
use crate::fetch::{FetchError, FetchOptions, secrets};
use crate::oci::Timestamp;
use crate::store::registry::Ask;

/// Where Amazon's own buckets are when nothing says otherwise.
const REGION: &str = "us-east-1";

/// How buckets are named in addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// In the host at Amazon, in the path elsewhere.
    #[default]
    Auto,
    /// `https://HOST/BUCKET/KEY`.
    Path,
    /// `https://BUCKET.HOST/KEY`.
    Virtual,
}

/// A bucket, and who may read it.
pub(super) struct Account {
    keys: Option<Keys>,
    region: String,
    bucket: String,
    url: Url,
}

/// What a name of AWS's stands for.
type Lookup<'a> = dyn Fn(&str) -> Result<Option<Zeroizing<String>>, FetchError> + 'a;

struct Keys {
    key: Zeroizing<String>,
    secret: Zeroizing<String>,
    session: Option<Zeroizing<String>>,
}

impl Account {
    /// The account that options and environment tell, for a bucket; an empty one is that of the secret.
    pub(super) fn of(options: &FetchOptions, bucket: &str) -> Result<Self, FetchError> {
        match &options.s3_credentials {
            Some(folder) => Self::with(options, bucket, &|name| in_folder(folder, name)),
            None => Self::with(options, bucket, &|name| secrets::of_variable(name)),
        }
    }

    fn with(options: &FetchOptions, bucket: &str, value: &Lookup<'_>) -> Result<Self, FetchError> {
        let first = |names: &[&str]| names.iter().map(|name| value(name)).find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None));
        let refused = |reason: &str| FetchError::Credentials { origin: origin(options), reason: reason.to_owned() };
        let keys = match (value("AWS_ACCESS_KEY_ID")?, value("AWS_SECRET_ACCESS_KEY")?) {
            (Some(key), Some(secret)) => Some(Keys { key, secret, session: value("AWS_SESSION_TOKEN")? }),
            (None, None) => None,
            _ => return Err(refused("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together")),
        };
        let region = first(&["AWS_REGION", "AWS_DEFAULT_REGION"])?.map_or_else(|| REGION.to_owned(), |region| region.to_string());
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(refused("AWS_REGION is no region"));
        }
        let endpoint = match &options.s3_endpoint {
            Some(endpoint) => Some(Zeroizing::new(endpoint.clone())),
            None => first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_S3_ENDPOINT"])?,
        };
        let bucket = match bucket {
            "" => value("AWS_S3_BUCKET")?.ok_or_else(|| refused("there is no AWS_S3_BUCKET, and the source names no bucket"))?.to_string(),
            bucket => bucket.to_owned(),
        };
        let url = address(endpoint.as_ref().map(|text| text.as_str()), &region, &bucket, options.s3_addressing)
            .ok_or_else(|| refused("the address of the store is no URL, or the bucket cannot be named in it"))?;
        Ok(Self { keys, region, bucket, url })
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.keys.is_none()
    }

    /// The request with its signature, and with these headers.
    pub(super) fn signed<'a>(&self, ask: Ask<'a>, url: &Url, headers: &[(&'static str, &str)]) -> Result<Ask<'a>, FetchError> {
        let ask = headers.iter().try_fold(ask, |ask, (name, value)| ask.with(name, value))?;
        let Some(keys) = &self.keys else { return Ok(ask) };
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (host, stamp) = (host(url), stamp(Timestamp::from_seconds(seconds)));
        let mut all = vec![("x-amz-content-sha256", EMPTY), ("x-amz-date", stamp.as_str())];
        all.extend(keys.session.as_ref().map(|session| ("x-amz-security-token", session.as_str())));
        let ask = all.iter().try_fold(ask, |ask, (name, value)| ask.with_private(name, value))?;
        all.push(("host", &host));
        all.extend(headers);
        let signer = Signer { key: &keys.key, secret: &keys.secret, region: &self.region };
        Ok(ask.with_private("authorization", &signer.authorization(url, &all, &stamp))?)
    }
}

fn origin(options: &FetchOptions) -> String {
    options.s3_credentials.as_ref().map_or_else(|| "the environment".to_owned(), |folder| folder.display().to_string())
}

fn in_folder(folder: &Path, name: &str) -> Result<Option<Zeroizing<String>>, FetchError> {
    if !folder.is_dir() {
        return Err(FetchError::Credentials { origin: folder.display().to_string(), reason: "it is no folder".to_owned() });
    }
    Ok(secrets::of_file(&folder.join(name))?.filter(|text| !text.is_empty()))
}

/// Whether it names no user and no password.
fn is_nobodys(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// The address of a bucket.
fn address(endpoint: Option<&str>, region: &str, bucket: &str, addressing: Addressing) -> Option<Url> {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    let base = match endpoint {
        Some(text) if text.contains("://") => text.to_owned(),
        Some(text) => format!("https://{text}"),
        None => format!("https://s3.{region}.amazonaws.com{china}"),
    };
    let mut url = Url::parse(&base).ok().filter(|url| matches!(url.scheme(), "http" | "https") && is_nobodys(url))?;
    url.set_query(None);
    // No certificate is for two labels in front of Amazon's name.
    let in_host = match addressing {
        Addressing::Auto => endpoint.is_none() && !bucket.contains('.'),
        Addressing::Path => false,
        Addressing::Virtual => true,
    };
    if in_host {
        let host = format!("{bucket}.{}", url.host_str()?);
        url.set_host(Some(&host)).ok()?;
        return Some(url);
    }
    let path = format!("{}/{bucket}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_in_the_host_at_amazon_and_in_the_path_elsewhere() {
        use Addressing::{Auto, Path, Virtual};
        for (endpoint, region, bucket, addressing, expected) in [
            (None, "eu-central-1", "b", Auto, Some("https://b.s3.eu-central-1.amazonaws.com/")),
            (None, "cn-north-1", "b", Auto, Some("https://b.s3.cn-north-1.amazonaws.com.cn/")),
            (None, "us-east-1", "my.b", Auto, Some("https://s3.us-east-1.amazonaws.com/my.b")),
            (Some("http://minio.ns.svc:9000"), "us-east-1", "b", Auto, Some("http://minio.ns.svc:9000/b")),
            (Some("s3.openshift-storage.svc"), "us-east-1", "b", Auto, Some("https://s3.openshift-storage.svc/b")),
            (Some("https://s3.example/"), "x", "b", Virtual, Some("https://b.s3.example/")),
            (None, "us-east-1", "b", Path, Some("https://s3.us-east-1.amazonaws.com/b")),
            (Some("ftp://x"), "x", "b", Auto, None),
            (Some("https://u:p@x"), "x", "b", Auto, None),
            (Some("https://:p@x"), "x", "b", Auto, None),
        ] {
            assert_eq!(address(endpoint, region, bucket, addressing).as_ref().map(Url::as_str), expected, "{endpoint:?} {bucket}");
        }
    }

    #[test]
    fn a_data_connection_is_a_folder() {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("AWS_ACCESS_KEY_ID", "CANARYKEY\n"),
            ("AWS_SECRET_ACCESS_KEY", "CANARY"),
            ("AWS_S3_ENDPOINT", "https://minio.example:9000"),
            ("AWS_S3_BUCKET", "models"),
            ("AWS_DEFAULT_REGION", ""),
        ] {
            std::fs::write(home.path().join(name), text).unwrap();
        }
        let options = FetchOptions { s3_credentials: Some(home.path().to_owned()), ..FetchOptions::default() };
        let account = Account::of(&options, "").unwrap();
        assert_eq!((account.bucket(), account.url().as_str()), ("models", "https://minio.example:9000/models"));
        assert_eq!((account.region.as_str(), account.is_anonymous()), ("us-east-1", false));
        std::fs::remove_file(home.path().join("AWS_SECRET_ACCESS_KEY")).unwrap();
        let error = Account::of(&options, "b").err().unwrap();
        assert!(error.to_string().contains("belong together") && !error.to_string().contains("CANARY"), "{error}");
        let nowhere = FetchOptions { s3_credentials: Some(home.path().join("x")), ..FetchOptions::default() };
        assert!(Account::of(&nowhere, "b").is_err());
    }
}
