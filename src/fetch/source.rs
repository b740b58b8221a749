//! Which words name which source of a model. Pure.

use std::path::PathBuf;

use url::Url;

use super::FetchError;
use super::names;
use crate::oci::{Location, printable};

/// Where a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file on a web server.
    File(Url),
    /// A repository of the Hugging Face hub.
    Hub(HubModel),
    /// Objects of a bucket.
    S3(S3Place),
    /// An image or artifact.
    Image(Location),
    /// A folder or file of this machine.
    Folder(PathBuf),
}

/// `hf://ORG/MODEL[@REVISION][/PATH]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubModel {
    /// `ORG/MODEL`, or the bare name of an old model.
    pub repository: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// A file or folder in it; empty for all.
    pub path: String,
}

/// `s3://BUCKET/PREFIX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    /// Empty where the credentials name it.
    pub bucket: String,
    /// A key, or the folder that keys begin with; empty for all.
    pub prefix: String,
}

/// Sources that modelcar leaves to others.
const OTHERS: [&str; 10] = ["gs", "hdfs", "webhdfs", "abfs", "abfss", "wasb", "wasbs", "azure", "git", "mlflow"];

impl Source {
    /// The source that words with a scheme name; `None` where they have none that is known: the name of an image, or a path.
    ///
    /// # Errors
    /// A scheme that modelcar does not read, and words that do not fit theirs.
    pub fn of(text: &str) -> Result<Option<Self>, FetchError> {
        let Some((scheme, rest)) = text.split_once("://") else { return one_slash(text).map_or(Ok(None), Err) };
        match scheme {
            "https" | "http" => file(text).map(Some),
            "hf" => hub(text, rest).map(|model| Some(Self::Hub(model))),
            "s3" => s3(text, rest).map(|place| Some(Self::S3(place))),
            "oci" | "docker" => image(text, rest).map(|location| Some(Self::Image(location))),
            "file" => Ok(Some(Self::Folder(PathBuf::from(rest)))),
            _ if OTHERS.contains(&scheme) || is_scheme(scheme) => Err(FetchError::Elsewhere { scheme: printable(scheme, 30) }),
            _ => Ok(None),
        }
    }

    /// `CLAIM` and `PATH` of `pvc://CLAIM/PATH`.
    ///
    /// # Errors
    /// The path climbs.
    pub fn claim(text: &str) -> Result<Option<(&str, &str)>, FetchError> {
        let Some(rest) = text.strip_prefix("pvc://") else { return Ok(None) };
        let (claim, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        if claim.is_empty() || !path.is_empty() && names::objection(path).is_some() {
            return Err(wrong(text, "expected pvc://CLAIM/PATH"));
        }
        Ok(Some((claim, path)))
    }
}

fn is_scheme(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte)) && !text.is_empty()
}

/// `hf:org/model`, which would be taken for an image otherwise.
fn one_slash(text: &str) -> Option<FetchError> {
    let (scheme, rest) = text.split_once(':')?;
    let known = ["hf", "s3", "https", "http", "pvc"].contains(&scheme) && rest.contains('/');
    // What follows may hold a password.
    known.then(|| FetchError::Source { text: format!("{scheme}:/…"), reason: "its scheme has to end in `://`" })
}

fn wrong(text: &str, reason: &'static str) -> FetchError {
    // What stands in front of `@` may be a password, whatever it holds; on the hub it is the model.
    let shown = match text.split_once("://") {
        Some((scheme, rest)) if scheme != "hf" => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default()),
        _ => text.to_owned(),
    };
    FetchError::Source { text: printable(shown.split(['?', '#']).next().unwrap_or_default(), 200), reason }
}

fn file(text: &str) -> Result<Source, FetchError> {
    let url = Url::parse(text).map_err(|_| wrong(text, "it is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(text, "a password has no place in it: name a file with a token by --token-file"));
    }
    if is_page_of_the_hub(&url) {
        return Err(wrong(text, "that is a page about a model, which is written hf://ORG/MODEL[@REVISION][/PATH]"));
    }
    match file_name(&url) {
        Some(_) => Ok(Source::File(url)),
        None => Err(wrong(text, "it names no file")),
    }
}

/// What a browser shows of a model, and no file of it: `/ORG/MODEL` and all but `/resolve/` and `/raw/` below it.
fn is_page_of_the_hub(url: &Url) -> bool {
    let hub = matches!(url.host_str(), Some("huggingface.co" | "hf.co"));
    hub && url.path_segments().is_none_or(|mut parts| !parts.any(|part| part == "resolve" || part == "raw" || part == "api"))
}

/// The last part of a URL's path, as the name of a file.
pub(super) fn file_name(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    let name = decoded(last)?;
    (names::objection(&name).is_none() && !name.contains('/')).then_some(name)
}

/// Text with its `%41` read.
pub(super) fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let hex = hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}

fn hub(text: &str, rest: &str) -> Result<HubModel, FetchError> {
    // A revision may hold slashes, but then nobody could tell it from a path: `@refs/pr/1` is written `@refs%2Fpr%2F1`.
    let (head, tail) = rest.split_once(['@', ':']).map_or((rest, None), |(head, tail)| (head, Some(tail)));
    let mut parts = head.splitn(3, '/');
    let (owner, name, inner) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (revision, path) = match tail {
        Some(tail) if inner.is_empty() => tail.split_once('/').unwrap_or((tail, "")),
        Some(_) => return Err(wrong(text, "the revision stands before the path: hf://ORG/MODEL@REVISION/PATH")),
        None => ("main", inner),
    };
    let repository = if name.is_empty() { owner.to_owned() } else { format!("{owner}/{name}") };
    let revision = decoded(revision).unwrap_or_default();
    let path = path.trim_end_matches('/');
    if !repository.split('/').all(is_word) || !revision.split('/').all(is_word) || revision.len() > 250 {
        return Err(wrong(text, "expected hf://ORG/MODEL[@REVISION][/PATH]"));
    }
    if !path.is_empty() && names::objection(path).is_some() {
        return Err(wrong(text, "its path is no place in a repository"));
    }
    Ok(HubModel { repository, revision, path: path.to_owned() })
}

fn is_word(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte));
    plain && !text.is_empty() && text.len() <= 250 && text.bytes().any(|byte| byte != b'.')
}

fn s3(text: &str, rest: &str) -> Result<S3Place, FetchError> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    let plain = bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) && bucket.len() <= 255;
    if !plain || bucket.split('.').any(str::is_empty) && !bucket.is_empty() {
        return Err(wrong(text, "expected s3://BUCKET/PREFIX"));
    }
    if !prefix.is_empty() && names::objection(prefix).is_some() {
        return Err(wrong(text, "its prefix is no place that files can be written to"));
    }
    Ok(S3Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

fn image(text: &str, rest: &str) -> Result<Location, FetchError> {
    if rest.split('/').next().is_some_and(|host| host.contains('@')) {
        return Err(wrong(text, "a password has no place in it: `modelcar` reads the credentials of docker and podman"));
    }
    Ok(Location::Registry(rest.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Source::of(text) {
            Ok(None) => "none".to_owned(),
            Ok(Some(Source::File(url))) => format!("file {url} {}", file_name(&url).unwrap()),
            Ok(Some(Source::Hub(model))) => format!("hub {} {} {}", model.repository, model.revision, model.path),
            Ok(Some(Source::S3(place))) => format!("s3 {} {}", place.bucket, place.prefix),
            Ok(Some(Source::Image(location))) => format!("image {location}"),
            Ok(Some(Source::Folder(path))) => format!("folder {}", path.display()),
            Err(error) => format!("{error}"),
        }
    }

    #[test]
    fn a_scheme_tells_the_source() {
        for (text, expected) in [
            ("https://h.example/a/b%20c.onnx?sig=x", "file https://h.example/a/b%20c.onnx?sig=x b c.onnx"),
            ("hf://org/model", "hub org/model main "),
            ("hf://gpt2", "hub gpt2 main "),
            ("hf://org/model@v1.0/onnx/model.onnx", "hub org/model v1.0 onnx/model.onnx"),
            ("hf://org/model:abc123", "hub org/model abc123 "),
            ("hf://org/model@refs%2Fpr%2F1", "hub org/model refs/pr/1 "),
            ("hf://org/model/onnx/", "hub org/model main onnx"),
            ("s3://bucket/models/v1/", "s3 bucket models/v1"),
            ("s3://bucket", "s3 bucket "),
            ("s3:///models", "s3  models"),
            ("oci://quay.io/org/m:v1", "image quay.io/org/m:v1"),
            ("docker://quay.io/org/m:v1", "image quay.io/org/m:v1"),
            ("file:///m/x", "folder /m/x"),
            ("https://huggingface.co/org/m/resolve/main/a.gguf", "file https://huggingface.co/org/m/resolve/main/a.gguf a.gguf"),
            ("quay.io/org/m:v1", "none"),
            ("hf:v1", "none"),
            ("oci:dir:v1", "none"),
            ("./model", "none"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_its_scheme_is_refused_without_its_secrets() {
        for (text, part) in [
            ("https://user:CANARY@h.example/m.onnx?sig=CANARY", "a password has no place"),
            ("https://user:CANARY/CANARY@h.example/m.onnx", "no URL"),
            ("https://user:1?CANARY#CANARY@h.example/", "names no file"),
            ("https://h.example/?sig=CANARY", "names no file"),
            ("s3://KEY:CANARY@bucket/x", "expected s3://"),
            ("oci://user:CANARY@quay.io/org/m:v1", "a password has no place"),
            ("https://h.example/a/..%2f..%2fetc", "names no file"),
            ("https://[::zz]/m", "no URL"),
            ("https:/user:CANARY@h.example/m?sig=CANARY", "end in `://`"),
            ("hf:org/model", "end in `://`"),
            ("https://huggingface.co/org/model", "written hf://"),
            ("https://huggingface.co/org/model/blob/main/a.gguf", "written hf://"),
            ("hf://org/../etc", "expected hf://"),
            ("hf://", "expected hf://"),
            ("hf://org/model/sub@v1", "the revision stands before the path"),
            ("hf://org/model@v1/../x", "no place in a repository"),
            ("hf://org/model@", "expected hf://"),
            ("s3://buck et/x", "expected s3://"),
            ("s3://a..b/x", "expected s3://"),
            ("s3://bucket/../x", "no place"),
            ("gs://bucket/x", "does not read gs://"),
            ("hdfs://h/x", "does not read hdfs://"),
        ] {
            let error = Source::of(text).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains(part) && !told.contains("CANARY"), "{text}: {told}");
            assert!(error.hint().is_some(), "{text}");
        }
    }

    #[test]
    fn what_others_read_names_the_storage_initializer() {
        let hint = Source::of("gs://bucket/model").unwrap_err().hint().unwrap();
        assert!(hint.contains("KServe's storage initializer"), "{hint}");
    }

    #[test]
    fn a_claim_is_a_place_below_its_mount() {
        assert_eq!(Source::claim("pvc://models/a/b/").unwrap(), Some(("models", "a/b")));
        assert_eq!(Source::claim("pvc://models").unwrap(), Some(("models", "")));
        assert_eq!(Source::claim("s3://models").unwrap(), None);
        for text in ["pvc://", "pvc:///x", "pvc://c/../x"] {
            assert!(Source::claim(text).is_err(), "{text}");
        }
    }
}
