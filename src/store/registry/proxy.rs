//! Which hosts `NO_PROXY` keeps from the proxy, where it names a port.
//!
//! The HTTP library knows the rest: names, `.suffixes`, addresses and CIDR blocks, in upper and lower case. `registry:5000` means nothing
//! to it, and podman, skopeo and docker understand it: <https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>.

use url::Url;

/// Whether `NO_PROXY` names the host of a URL together with its port.
pub(super) fn names_port(url: &Url) -> bool {
    let list = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy")).unwrap_or_default();
    is_named(&list, url)
}

fn is_named(list: &str, url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    list.split(',').filter_map(|entry| entry.trim().rsplit_once(':')).any(|(name, written)| {
        // `*.example.com` is `.example.com`, and a bare name holds for what is below it, too
        let name = name.strip_prefix('*').unwrap_or(name).to_ascii_lowercase();
        let below = if name.starts_with('.') { name.clone() } else { format!(".{name}") };
        written.parse() == Ok(port) && !name.is_empty() && (host == name || host.ends_with(&below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_be_named_with_its_port() {
        for (list, url, named) in [
            ("a.com, registry.corp:5000", "https://registry.corp:5000/v2/", true),
            ("registry.corp:5000", "https://registry.corp:5001/v2/", false),
            ("registry.corp:443", "https://registry.corp/v2/", true),
            ("Registry.Corp:443", "https://registry.corp/v2/", true),
            (".corp:80", "http://registry.corp/v2/", true),
            ("*.corp:80", "http://registry.corp/v2/", true),
            ("corp:80", "http://registry.corp/v2/", true),
            ("corp:80", "http://notcorp/v2/", false),
            ("10.0.0.1:5000", "http://10.0.0.1:5000/v2/", true),
            ("[fd00::1]:5000", "http://[fd00::1]:5000/v2/", true),
            ("registry.corp", "https://registry.corp/v2/", false),
            (":443,,registry.corp:x", "https://registry.corp/v2/", false),
        ] {
            assert_eq!(is_named(list, &url.parse().unwrap()), named, "{list} {url}");
        }
    }
}
