//! Whose certificates count: cosign's options, with cosign's meaning.

use std::fmt;

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

use super::KeylessError;

/// A compiled pattern is refused beyond this, in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// A holder of certificates: an identity, and the issuer that vouches for it.
#[derive(Clone, Debug)]
pub struct CertificateIdentity {
    /// The certificate's subject alternative name.
    pub identity: Expected,
    /// The OIDC issuer of the token.
    pub issuer: Expected,
}

/// Text that is expected in a certificate.
#[derive(Clone, Debug)]
pub struct Expected(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Exactly(String),
    Matching { pattern: String, regex: Regex },
}

impl Expected {
    /// This text and no other.
    pub fn exactly(text: impl Into<String>) -> Self {
        Self(Kind::Exactly(text.into()))
    }

    /// Any text in which the regular expression matches somewhere, as cosign's does: only `^…$` binds it to the whole text.
    ///
    /// # Errors
    /// It is none, or too large a one.
    pub fn matching(pattern: &str) -> Result<Self, KeylessError> {
        let config = Config::new().nfa_size_limit(Some(MAX_PATTERN)).hybrid_cache_capacity(MAX_PATTERN);
        // Bytes, as in RE2: `\w` and `(?i)` are about ASCII.
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let regex = Regex::builder().configure(config).syntax(syntax).build(pattern).map_err(|error| {
            let told = || error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
            let why = error.size_limit().map_or_else(told, |limit| format!("it takes more than {limit} bytes of memory"));
            KeylessError::Pattern { pattern: pattern.to_owned(), why: reason(&why).to_owned() }
        })?;
        Ok(Self(Kind::Matching { pattern: pattern.to_owned(), regex }))
    }

    /// The text, where it is expected as it is.
    ///
    /// # Errors
    /// The regular expression, where it is one.
    pub fn text(&self) -> Result<&str, &str> {
        match &self.0 {
            Kind::Exactly(text) => Ok(text),
            Kind::Matching { pattern, .. } => Err(pattern),
        }
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Exactly(expected) => expected == text,
            Kind::Matching { regex, .. } => regex.is_match(text),
        }
    }
}

/// The last line of a parser's report: those before it draw the pattern with a mark below.
fn reason(report: &str) -> &str {
    let line = report.lines().last().unwrap_or(report).trim();
    line.strip_prefix("error: ").unwrap_or(line)
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exactly(text) => write!(f, "`{text}`"),
            Kind::Matching { pattern, .. } => write!(f, "/{pattern}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_as_cosign_does() {
        let account = "https://kubernetes.io/namespaces/ml/serviceaccounts/builder";
        for (pattern, fits) in [
            ("namespaces/ml/", true),
            ("^https://kubernetes.io/namespaces/(ml|ai)/", true),
            ("^namespaces", false),
            ("^https://kubernetes\\.io/namespaces/ml$", false),
            ("(?i)BUILDER$", true),
        ] {
            assert_eq!(Expected::matching(pattern).unwrap().fits(account), fits, "{pattern}");
        }
        assert!(Expected::exactly(account).fits(account));
        assert!(!Expected::exactly("namespaces/ml/").fits(account));
    }

    #[test]
    fn refuses_patterns_that_are_none_or_too_large() {
        for (pattern, why) in
            [("(", ": unclosed group"), ("a{1000}{1000}", "1048576 bytes of memory"), ("[z-a]", ": invalid character class range")]
        {
            let error = Expected::matching(pattern).unwrap_err();
            assert!(error.to_string().contains("is not a regular expression") && error.exit_code() == 2, "{error}");
            assert!(error.to_string().contains(why) && !error.to_string().contains('\n'), "{error}");
        }
    }
}
