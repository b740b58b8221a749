//! Files of web servers, and what the other sources have in common with them: ranges, versions, refusals.
//! <https://www.rfc-editor.org/rfc/rfc9110#name-range-requests>

use std::time::Duration;

use url::Url;

use super::item::{Body, Item, Listing, Opened, Origin, Place, Wish};
use super::proof::{Proof, SumKind};
use super::{FetchError, FetchOptions, secrets, source};
use crate::store::registry::{Ask, Bearer, Stream, Web, carries_secrets, shown_url};

/// How long nothing may move on a connection.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// The one file of a URL.
pub(super) fn list(url: &Url, options: &FetchOptions) -> Result<Listing, FetchError> {
    let bearer = secrets::token(options.token_file.as_ref(), None)?;
    ensure_carries(url, bearer.as_ref())?;
    let item = Item {
        path: source::file_name(url).unwrap_or_default(),
        size: None,
        proof: options.digest.map_or(Proof::None, Proof::Sha256),
        sum: None,
        place: Place::Url(url.clone()),
    };
    let server = Server { web: Web::new(&options.store, IDLE)?, bearer };
    Ok(Listing::of(shown_url(url), vec![item], Box::new(server)))
}

/// Refuses to send a token where others could read it.
pub(super) fn ensure_carries(url: &Url, bearer: Option<&Bearer>) -> Result<(), FetchError> {
    match bearer {
        Some(_) if !carries_secrets(url) => Err(FetchError::Exposed { host: url.host_str().unwrap_or_default().to_owned() }),
        _ => Ok(()),
    }
}

struct Server {
    web: Web,
    bearer: Option<Bearer>,
}

impl Origin for Server {
    fn open(&self, item: &Item, wish: &Wish<'_>) -> Result<Opened, FetchError> {
        let ask = file(item.url()?).bearing(self.bearer.as_ref());
        open(&self.web, &ask, wish, |stream| refused(&stream, &item.path))
    }
}

fn refused(stream: &Stream, path: &str) -> FetchError {
    let status = stream.status();
    let hint = match status {
        401 | 403 => Some("the server wants to know who asks: --token-file FILE sends a bearer token, a presigned URL needs none"),
        404 | 410 => Some("check the address"),
        _ => None,
    };
    FetchError::Refused { what: format!("`{path}` at {}", stream.url()), status, message: String::new(), hint }
}

/// A request for a file as it is stored.
pub(super) fn file(url: &Url) -> Ask<'_> {
    Ask::get(url, "*/*", 0)
}

/// Opens a file from where it is wanted on, or from its beginning where the server cannot do that or has another version.
pub(super) fn open(web: &Web, ask: &Ask<'_>, wish: &Wish<'_>, refused: impl Fn(Stream) -> FetchError) -> Result<Opened, FetchError> {
    let mut ranged = ask.clone().with("accept-encoding", "identity")?;
    if wish.from > 0 {
        ranged = ranged.with("range", &format!("bytes={}-", wish.from))?;
    }
    // Without it the bytes are proved in the end by their digest.
    if let Some(version) = wish.version.filter(|version| wish.from > 0 && is_validator(version)) {
        ranged = ranged.with("if-range", version)?;
    }
    if let Some(version) = wish.unless {
        let name = if version.ends_with("GMT") { "if-modified-since" } else { "if-none-match" };
        ranged = ranged.with(name, version)?;
    }
    let stream = web.open(&ranged)?;
    match stream.status() {
        200 => Ok(Opened::Body(body(stream, 0))),
        304 => Ok(Opened::Unchanged),
        206 if begins(&stream) == Some(wish.from) => Ok(Opened::Body(body(stream, wish.from))),
        206 | 416 if wish.from > 0 => open(web, ask, &Wish { from: 0, ..*wish }, refused),
        _ => Err(refused(stream)),
    }
}

/// A date has whole seconds, within which a file can change.
pub(super) fn is_validator(version: &str) -> bool {
    version.starts_with('"')
}

fn body(stream: Stream, from: u64) -> Body {
    let size = stream.length().and_then(|length| length.checked_add(from));
    // A weak tag does not promise equal bytes.
    let strong = stream.header("etag").filter(|tag| tag.starts_with('"'));
    let version = strong.or_else(|| stream.header("last-modified")).filter(|text| text.len() < 1000).map(str::to_owned);
    // In the answer to a part they may be of that part.
    let sums = if from == 0 { sums(&stream) } else { Vec::new() };
    Body { from, size, version, sums, reader: stream.into_reader() }
}

/// The checksums of S3 where they are of the whole object: those of its parts end in their number.
fn sums(stream: &Stream) -> Vec<(SumKind, String)> {
    if stream.header("x-amz-checksum-type") == Some("COMPOSITE") {
        return Vec::new();
    }
    let told = |kind: SumKind| stream.header(kind.header()).filter(|value| !value.contains('-')).map(|value| (kind, value.to_owned()));
    SumKind::ALL.into_iter().filter_map(told).collect()
}

/// The first byte of a part.
fn begins(stream: &Stream) -> Option<u64> {
    stream.header("content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// A URL below another one; the path is encoded here, so it can be any text.
pub(super) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), encoded(path, "/")));
    url
}

/// Text as RFC 3986 and AWS's signatures encode it: letters, digits and `-._~` stay, and so do those to keep.
pub(super) fn encoded(text: &str, keep: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || keep.as_bytes().contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_once_and_stays_below_its_base() {
        let base: Url = "https://h.example/s3/".parse().unwrap();
        for (path, expected) in [
            ("a/b.onnx", "https://h.example/s3/a/b.onnx"),
            ("a b+c/ü%20?#.bin", "https://h.example/s3/a%20b%2Bc/%C3%BC%2520%3F%23.bin"),
            ("!'()*", "https://h.example/s3/%21%27%28%29%2A"),
        ] {
            assert_eq!(below(&base, path).as_str(), expected);
        }
        assert_eq!(encoded("a/b", ""), "a%2Fb");
    }

    #[test]
    fn only_what_promises_equal_bytes_lets_a_download_go_on() {
        for (version, validates) in
            [("\"abc\"", true), ("Tue, 14 Nov 2023 22:13:20 GMT", false), ("W/\"abc\"", false), ("sha256:00", false)]
        {
            assert_eq!(is_validator(version), validates, "{version}");
        }
    }

    #[test]
    fn a_token_is_not_sent_in_the_clear() {
        let bearer = Bearer::new("abc");
        assert!(ensure_carries(&"http://h.example/m".parse().unwrap(), bearer.as_ref()).is_err());
        assert!(ensure_carries(&"http://h.example/m".parse().unwrap(), None).is_ok());
        assert!(ensure_carries(&"https://h.example/m".parse().unwrap(), bearer.as_ref()).is_ok());
    }
}
