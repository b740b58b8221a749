//! Which URL a registry may send the client to. Pure.
//!
//! A registry answers with addresses: where to upload, where a blob really is, where the next page is. It must not turn them into
//! a way to get at credentials (CVE-2020-15157) or at hosts that only this machine can reach.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::RegistryError;
use crate::oci::Digest;

/// Whether credentials for one URL may be sent to the other.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// Where an upload goes on, from the `Location` of the answer to `from`.
pub(super) fn upload(from: &Url, location: Option<&str>) -> Result<Url, RegistryError> {
    let url = resolve(from, location)?;
    if !same_origin(from, &url) && reach(&url) > Reach::Public && reach(from) == Reach::Public {
        return Err(bad(&url, "it is a private address on another host"));
    }
    Ok(url)
}

/// Where a token is to be had: credentials go there, so the rules are those of an upload.
pub(super) fn realm(api: &Url, realm: &str) -> Result<Url, RegistryError> {
    upload(api, Some(realm))
}

/// Where a redirect leads to.
///
/// Private addresses are allowed, for an object store beside a registry in a company's network; this machine and its link are not.
pub(super) fn redirect(from: &Url, location: Option<&str>) -> Result<Url, RegistryError> {
    let url = resolve(from, location)?;
    if !same_origin(from, &url) && reach(&url) == Reach::Machine && reach(from) != Reach::Machine {
        return Err(bad(&url, "it is an address of this machine"));
    }
    Ok(url)
}

/// The next page, from a header such as `</v2/a/tags/list?last=x>; rel="next"`.
pub(super) fn next_page(from: &Url, link: Option<&str>) -> Result<Option<Url>, RegistryError> {
    let Some(target) = link.and_then(next_link) else { return Ok(None) };
    let url = resolve(from, Some(target))?;
    if same_origin(from, &url) { Ok(Some(url)) } else { Err(bad(&url, "the next page is on another host")) }
}

/// The URL that ends an upload: the registry's own query stays as it is, byte for byte.
pub(super) fn with_digest(mut url: Url, digest: &Digest) -> Url {
    let others: Vec<&str> =
        url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("digest=")).collect();
    let query = others.join("&");
    url.set_query((!query.is_empty()).then_some(query.as_str()));
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    url
}

/// A URL for messages: without user, query and fragment, which hold signatures and tokens.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // fails only for URLs that cannot have a user
    let _ = (url.set_username(""), url.set_password(None));
    url.to_string().chars().take(300).collect()
}

fn resolve(from: &Url, location: Option<&str>) -> Result<Url, RegistryError> {
    let Some(location) = location.filter(|location| !location.is_empty()) else {
        return Err(bad(from, "the answer has none"));
    };
    let url = from.join(location).map_err(|_| bad(from, "the answer's one is not a URL"))?;
    let problem = match url.scheme() {
        "https" => None,
        "http" if from.scheme() == "http" => None,
        "http" => Some("it leads from https down to http"),
        _ => Some("it is neither http nor https"),
    };
    let problem = problem.or((!url.username().is_empty() || url.password().is_some()).then_some("it holds credentials"));
    problem.map_or(Ok(url.clone()), |reason| Err(bad(&url, reason)))
}

fn bad(url: &Url, reason: &'static str) -> RegistryError {
    RegistryError::BadLocation { location: shown(url), reason }
}

/// `<target>; rel="next"`, also behind other links.
fn next_link(header: &str) -> Option<&str> {
    header.split('<').filter_map(|link| link.split_once('>')).find(|(_, attributes)| is_next(attributes)).map(|(target, _)| target)
}

fn is_next(attributes: &str) -> bool {
    attributes.split([';', ',']).any(|attribute| matches!(attribute.trim(), "rel=\"next\"" | "rel=next"))
}

/// Who can reach an address; the later, the fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Public,
    Private,
    Machine,
}

fn reach(url: &Url) -> Reach {
    match url.host() {
        Some(Host::Domain(name)) if is_localhost(name) => Reach::Machine,
        Some(Host::Ipv4(address)) => reach_v4(address),
        Some(Host::Ipv6(address)) => address.to_ipv4_mapped().map_or_else(|| reach_v6(address), reach_v4),
        Some(Host::Domain(_)) | None => Reach::Public,
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && second & 0xc0 == 64; // RFC 6598
    if address.is_loopback() || address.is_link_local() || first == 0 {
        Reach::Machine
    } else if address.is_private() || shared {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local() {
        Reach::Machine
    } else if address.is_unique_local() {
        Reach::Private
    } else {
        Reach::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "https://quay.io/v2/org/model/blobs/uploads/";

    fn outcome(result: Result<Url, RegistryError>) -> String {
        match result {
            Ok(url) => url.to_string(),
            Err(RegistryError::BadLocation { reason, .. }) => format!("refused: {reason}"),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn upload_locations() {
        for (from, location, expected) in [
            (FROM, "/v2/org/model/blobs/uploads/1?_state=a%2Fb%3D", "https://quay.io/v2/org/model/blobs/uploads/1?_state=a%2Fb%3D"),
            (FROM, "2", "https://quay.io/v2/org/model/blobs/uploads/2"),
            (FROM, "https://store.example.com/x?sig=1", "https://store.example.com/x?sig=1"),
            (FROM, "//other.example.com/x", "https://other.example.com/x"),
            (FROM, "http://quay.io/x", "refused: it leads from https down to http"),
            (FROM, "file:///etc/passwd", "refused: it is neither http nor https"),
            (FROM, "https://user:pass@quay.io/x", "refused: it holds credentials"),
            (FROM, "https://[::zz]/", "refused: the answer's one is not a URL"),
            (FROM, "", "refused: the answer has none"),
            (FROM, "https://10.0.0.1/x", "refused: it is a private address on another host"),
            (FROM, "https://169.254.169.254/latest", "refused: it is a private address on another host"),
            (FROM, "https://[::1]/x", "refused: it is a private address on another host"),
            (FROM, "https://[::ffff:10.0.0.1]/x", "refused: it is a private address on another host"),
            (FROM, "https://[fd00::1]/x", "refused: it is a private address on another host"),
            (FROM, "https://localhost/x", "refused: it is a private address on another host"),
            (FROM, "https://2130706433/x", "refused: it is a private address on another host"),
            (FROM, "https://0x7f.1/x", "refused: it is a private address on another host"),
            (FROM, "https://localhost./x", "refused: it is a private address on another host"),
            (FROM, "https://0.0.0.0/x", "refused: it is a private address on another host"),
            (FROM, "https://100.64.0.1/x", "refused: it is a private address on another host"),
            (FROM, "https://172.16.0.1/x", "refused: it is a private address on another host"),
            (FROM, "https://[fe80::1]/x", "refused: it is a private address on another host"),
            (FROM, "ftp://quay.io/x", "refused: it is neither http nor https"),
            (FROM, "https://:pass@quay.io/x", "refused: it holds credentials"),
            (FROM, "https://quay.io:8443/x", "https://quay.io:8443/x"),
            (FROM, "?_state=1", "https://quay.io/v2/org/model/blobs/uploads/?_state=1"),
            (FROM, "../x?a=b&c", "https://quay.io/v2/org/model/blobs/x?a=b&c"),
            ("https://10.0.0.1/v2/", "https://10.0.0.1:8443/x", "https://10.0.0.1:8443/x"),
            ("https://10.0.0.1/v2/", "http://10.0.0.1/x", "refused: it leads from https down to http"),
            ("http://10.0.0.1:5000/v2/", "http://10.0.0.2:9000/x", "http://10.0.0.2:9000/x"),
            ("http://localhost:5000/v2/", "http://127.0.0.1:5000/x", "http://127.0.0.1:5000/x"),
            ("http://localhost:5000/v2/", "https://localhost:5001/x", "https://localhost:5001/x"),
        ] {
            assert_eq!(outcome(upload(&from.parse().unwrap(), Some(location))), expected, "{from} {location}");
        }
        assert_eq!(outcome(upload(&FROM.parse().unwrap(), None)), "refused: the answer has none");
    }

    #[test]
    fn redirects() {
        for (from, location, expected) in [
            (FROM, "https://cdn.example.com/blob?Signature=x", "https://cdn.example.com/blob?Signature=x"),
            (FROM, "https://10.1.2.3:9000/bucket", "https://10.1.2.3:9000/bucket"),
            (FROM, "https://169.254.169.254/x", "refused: it is an address of this machine"),
            (FROM, "https://127.0.0.1/x", "refused: it is an address of this machine"),
            (FROM, "http://cdn.example.com/blob", "refused: it leads from https down to http"),
            ("http://127.0.0.1:1/v2/", "http://127.0.0.1:2/x", "http://127.0.0.1:2/x"),
        ] {
            assert_eq!(outcome(redirect(&from.parse().unwrap(), Some(location))), expected, "{location}");
        }
    }

    #[test]
    fn credentials_stay_with_scheme_host_and_port() {
        for (other, same) in [
            ("https://quay.io/token", true),
            ("https://quay.io:443/x", true),
            ("https://QUAY.io/x", true),
            ("http://quay.io/x", false),
            ("https://quay.io:8443/x", false),
            ("https://cdn.quay.io/x", false),
            ("https://quay.io.evil.com/x", false),
        ] {
            assert_eq!(same_origin(&FROM.parse().unwrap(), &other.parse().unwrap()), same, "{other}");
        }
    }

    #[test]
    fn the_digest_joins_the_query_that_was_there() {
        let digest = Digest::of(b"x");
        let encoded = format!("digest=sha256%3A{}", digest.hex());
        for (url, expected) in [
            ("https://r/u/1", format!("https://r/u/1?{encoded}")),
            ("https://r/u/1?_state=a%2Bb%3D&x", format!("https://r/u/1?_state=a%2Bb%3D&x&{encoded}")),
            ("https://r/u/1?digest=old&a=1", format!("https://r/u/1?a=1&{encoded}")),
            ("https://r/u/1?", format!("https://r/u/1?{encoded}")),
        ] {
            assert_eq!(with_digest(url.parse().unwrap(), &digest).as_str(), expected);
        }
    }

    #[test]
    fn next_pages() {
        let from: Url = "https://r/v2/a/tags/list?n=2".parse().unwrap();
        for (link, expected) in [
            (Some(r#"</v2/a/tags/list?last=b&n=2>; rel="next""#), Some("https://r/v2/a/tags/list?last=b&n=2")),
            (Some("<https://r/x>; rel=next"), Some("https://r/x")),
            (Some(r#"</first>; rel="first", </second>; title="a"; rel="next""#), Some("https://r/second")),
            (Some(r#"</first>; rel="prev""#), None),
            (Some("garbage"), None),
            (None, None),
        ] {
            assert_eq!(next_page(&from, link).unwrap().as_ref().map(Url::as_str), expected, "{link:?}");
        }
        assert!(next_page(&from, Some(r#"<https://evil/x>; rel="next""#)).is_err());
    }

    #[test]
    fn messages_show_no_query_and_no_user() {
        let url = "https://user:CANARY@r/u/1?sig=CANARY#CANARY".parse().unwrap();
        assert_eq!(shown(&url), "https://r/u/1");
    }
}
