//! SPDX licence expressions against a list of allowed licences
//! (<https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>).

/// How deep parentheses may lie in each other.
const MAX_DEPTH: usize = 32;

/// Whether a choice of licences that the expression offers is allowed as a whole: `OR` needs one side, `AND` both. The first
/// licence that stands in the way is given back; none if the expression cannot be read.
pub(super) fn refused(expression: &str, allowed: &[String]) -> Result<Option<String>, ()> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let mut parser = Parser { words: spaced.split_whitespace().peekable(), allowed };
    let refused = parser.any(0)?;
    if parser.words.next().is_some() { Err(()) } else { Ok(refused) }
}

struct Parser<'a, I: Iterator<Item = &'a str>> {
    words: std::iter::Peekable<I>,
    allowed: &'a [String],
}

impl<'a, I: Iterator<Item = &'a str>> Parser<'a, I> {
    fn any(&mut self, depth: usize) -> Result<Option<String>, ()> {
        let mut refused = self.all(depth)?;
        while self.takes("OR") {
            let other = self.all(depth)?;
            refused = refused.and_then(|refused| other.map(|_| refused));
        }
        Ok(refused)
    }

    fn all(&mut self, depth: usize) -> Result<Option<String>, ()> {
        let mut refused = self.one(depth)?;
        while self.takes("AND") {
            let other = self.one(depth)?;
            refused = refused.or(other);
        }
        Ok(refused)
    }

    fn one(&mut self, depth: usize) -> Result<Option<String>, ()> {
        let word = self.words.next().ok_or(())?;
        if word == "(" {
            let inside = if depth < MAX_DEPTH { self.any(depth + 1)? } else { return Err(()) };
            return if self.takes(")") { Ok(inside) } else { Err(()) };
        }
        if is_operator(word) {
            return Err(());
        }
        let mut licence = word.to_owned();
        if self.takes("WITH") {
            let exception = self.words.next().filter(|word| !is_operator(word)).ok_or(())?;
            licence = format!("{licence} WITH {exception}");
        }
        Ok((!is_allowed(&licence, self.allowed)).then_some(licence))
    }

    fn takes(&mut self, word: &str) -> bool {
        self.words.next_if(|next| next.eq_ignore_ascii_case(word)).is_some()
    }
}

fn is_operator(word: &str) -> bool {
    ["(", ")"].contains(&word) || ["AND", "OR", "WITH"].iter().any(|operator| word.eq_ignore_ascii_case(operator))
}

/// SPDX identifiers are compared without regard to case.
pub(super) fn is_allowed(licence: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(licence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_if_one_of_its_choices_is() {
        let allowed = ["MIT", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"].map(str::to_owned);
        let table = [
            ("MIT", Ok(None)),
            ("mit", Ok(None)),
            ("GPL-3.0-only", Ok(Some("GPL-3.0-only"))),
            ("MIT OR GPL-3.0-only", Ok(None)),
            ("GPL-3.0-only OR BSD-2-Clause", Ok(Some("GPL-3.0-only"))),
            ("MIT AND Apache-2.0", Ok(None)),
            ("MIT AND GPL-3.0-only", Ok(Some("GPL-3.0-only"))),
            ("MIT AND (GPL-3.0-only OR Apache-2.0)", Ok(None)),
            ("MIT OR GPL-3.0-only AND GPL-2.0-only", Ok(None)),
            ("(MIT OR GPL-3.0-only) AND GPL-2.0-only", Ok(Some("GPL-2.0-only"))),
            ("GPL-2.0-only WITH Classpath-exception-2.0", Ok(None)),
            ("MIT WITH Classpath-exception-2.0", Ok(Some("MIT WITH Classpath-exception-2.0"))),
            ("", Err(())),
            ("MIT OR", Err(())),
            ("MIT Apache-2.0", Err(())),
            ("(MIT", Err(())),
            ("MIT)", Err(())),
            ("AND", Err(())),
            ("MIT WITH OR", Err(())),
        ];
        for (expression, expected) in table {
            assert_eq!(refused(expression, &allowed), expected.map(|licence| licence.map(str::to_owned)), "{expression}");
        }
        assert_eq!(refused(&"(".repeat(100_000), &allowed), Err(()));
    }
}
