//! `WWW-Authenticate`: <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>. Pure.
//!
//! A header may hold several challenges, and quoted values hold commas (`scope="repository:a:pull,push"`), so the header cannot
//! be split at commas.

use std::collections::BTreeMap;

/// More than any registry sends; what lies behind is not read.
const MAX_HEADER: usize = 8 << 10;

/// One way to log in that a registry offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Lower case: `bearer`, `basic`.
    pub(super) scheme: String,
    /// Names in lower case.
    pub(super) parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// A parameter, unless it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// All challenges of a header, in order; what is malformed is left out.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let header = header.get(..MAX_HEADER).unwrap_or(header);
    let mut challenges: Vec<Challenge> = Vec::new();
    for element in elements(header) {
        let parameter = match scheme(element) {
            Some((scheme, rest)) => {
                challenges.push(Challenge { scheme: scheme.to_ascii_lowercase(), ..Challenge::default() });
                rest
            }
            None => element,
        };
        if let (Some((name, value)), Some(challenge)) = (name_and_value(parameter), challenges.last_mut()) {
            challenge.parameters.insert(name, value);
        }
    }
    challenges
}

/// Splits at the commas outside quotes.
fn elements(header: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let outside = move |character: char| {
        let escape = quoted && character == '\\' && !escaped;
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = escape;
        character == ',' && !quoted
    };
    header.split(outside).map(str::trim).filter(|element| !element.is_empty())
}

/// Splits `Bearer realm="…"` or `Basic` at its scheme; `None` for a bare `name="value"`.
fn scheme(element: &str) -> Option<(&str, &str)> {
    let end = element.find(|character: char| character.is_ascii_whitespace() || character == '=').unwrap_or(element.len());
    let (word, rest) = (&element[..end], element[end..].trim_start());
    let token = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (token && !rest.starts_with('=')).then_some((word, rest))
}

fn name_and_value(parameter: &str) -> Option<(String, String)> {
    let (name, value) = parameter.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    // `Negotiate dGVzdA==`: a token with its padding, not a parameter
    if name.is_empty() || value.is_empty() || value.bytes().all(|byte| byte == b'=') {
        return None;
    }
    Some((name.to_ascii_lowercase(), unquote(value)))
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut escaped = false;
    inner
        .chars()
        .filter(|&character| {
            escaped = character == '\\' && !escaped;
            !escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: &str) -> Vec<String> {
        let text = |challenge: &Challenge| {
            let parameters: Vec<_> = challenge.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {}", challenge.scheme, parameters.join(" ")).trim_end().to_owned()
        };
        parse(header).iter().map(text).collect()
    }

    #[test]
    fn reads_what_registries_send() {
        let cases: [(&str, &[&str]); 13] = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/a:pull,push""#,
                &["bearer realm=https://auth.docker.io/token scope=repository:library/a:pull,push service=registry.docker.io"],
            ),
            (r#"Basic realm="Registry Realm""#, &["basic realm=Registry Realm"]),
            (r#"Basic realm="a,b", Bearer realm="https://x/t" , service=s"#, &["basic realm=a,b", "bearer realm=https://x/t service=s"]),
            ("Negotiate, NTLM, Basic realm=x", &["negotiate", "ntlm", "basic realm=x"]),
            (r#"Negotiate dGVzdA==, Bearer realm="r""#, &["negotiate", "bearer realm=r"]),
            (r#"BEARER Realm = "r" , SERVICE="a \"quoted\" \\ name""#, &[r#"bearer realm=r service=a "quoted" \ name"#]),
            (
                r#"Bearer realm="r",error="insufficient_scope",error_description="a, b""#,
                &["bearer error=insufficient_scope error_description=a, b realm=r"],
            ),
            ("Basic", &["basic"]),
            ("", &[]),
            (",,, ,", &[]),
            ("=x, \"y\"", &[]),
            (r#"realm="nobody""#, &[]),
            (r#"Bearer realm="never closed, scope=x"#, &["bearer realm=\"never closed, scope=x"]),
        ];
        for (header, expected) in cases {
            assert_eq!(shown(header), expected, "{header}");
        }
    }

    #[test]
    fn an_empty_parameter_counts_as_missing() {
        let challenges = parse(r#"Bearer realm="r",scope="""#);
        assert_eq!((challenges[0].get("realm"), challenges[0].get("scope"), challenges[0].get("x")), (Some("r"), None, None));
    }

    #[test]
    fn a_huge_header_is_read_to_a_limit() {
        let header = format!("Bearer realm=\"r\", {}", "a=b, ".repeat(100_000));
        assert!(parse(&header).len() == 1);
        assert!(parse(&"Basic, ".repeat(100_000)).len() < 2000);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(header in "[a-zA-Z=\", \\\\é]{0,200}") {
            parse(&header);
        }
    }
}
