//! The model card: what the YAML front matter of `README.md` says about licence and origin.
//! <https://huggingface.co/docs/hub/model-cards#model-card-metadata>
//!
//! A front matter may hold hundreds of kilobytes of evaluation results, and is written by hand. Only the lines of the few keys that are
//! wanted go to the YAML reader: it stays fast, and an error elsewhere costs nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Facts, Tree};

/// The largest beginning of a `README.md` that is looked at.
const MAX_SIZE: u64 = 1 << 20;
/// The most YAML that is read of it.
const MAX_YAML: usize = 16 << 10;
/// Values of one key.
const MAX_WORDS: usize = 32;

/// A key of the front matter, the fact's key, and its label.
const KEYS: [(&str, &str, &str); 7] = [
    ("library_name", "library", "library"),
    ("pipeline_tag", "task", "task"),
    ("license", "licence", "licence"),
    ("license_name", "licence-name", "licence name"),
    ("license_link", "licence-link", "licence link"),
    ("base_model", "base-model", "base model"),
    ("language", "languages", "languages"),
];

/// The licences under their names on Hugging Face (and in GGUF files, which took them over) that SPDX has too, as SPDX writes them.
/// <https://huggingface.co/docs/hub/repositories-licenses>, <https://spdx.org/licenses/>
const SPDX: [&str; 58] = [
    "0BSD",
    "AFL-3.0",
    "AGPL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Clear",
    "BSL-1.0",
    "CC-BY-2.0",
    "CC-BY-2.5",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-2.0",
    "CC-BY-NC-3.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-3.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-2.0",
    "CC-BY-NC-SA-3.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0",
    "ECL-2.0",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.1",
    "EUPL-1.2",
    "GFDL-1.3-only",
    "GPL-2.0",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-2.1",
    "LGPL-2.1-only",
    "LGPL-3.0",
    "LGPL-3.0-only",
    "LPPL-1.3c",
    "MIT",
    "MPL-2.0",
    "MS-PL",
    "NCSA",
    "ODbL-1.0",
    "OFL-1.1",
    "OSL-3.0",
    "PostgreSQL",
    "Unlicense",
    "Zlib",
];

/// The SPDX identifier of a licence as model cards name it; none for `other`, `llama3.1` and what else SPDX does not list.
pub fn spdx(licence: &str) -> Option<&'static str> {
    SPDX.into_iter().find(|id| id.eq_ignore_ascii_case(licence))
}

/// Adds what the card says and the format has not told.
pub(super) fn facts(tree: &Tree, facts: &mut Facts) {
    let Some(file) = tree.files().iter().find(|file| file.path.eq_ignore_ascii_case("README.md")) else { return };
    let mut bytes = Vec::new();
    let read = file.open().and_then(|input| input.take(MAX_SIZE).read_to_end(&mut bytes));
    if let Err(error) = read {
        tracing::debug!(path = file.path, %error, "no model card");
        return;
    }
    let card = Card::parse(&String::from_utf8_lossy(&bytes));
    for (key, fact, label) in KEYS {
        facts.add(fact, label, card.words(key));
    }
}

/// What a front matter says.
#[derive(Debug, Default)]
pub struct Card(BTreeMap<String, Words>);

impl Card {
    /// Reads the beginning of a `README.md`. A card without a front matter, or with one that is no YAML, says nothing.
    pub fn parse(readme: &str) -> Self {
        let yaml = wanted_lines(readme);
        let map = if yaml.is_empty() { Ok(BTreeMap::new()) } else { serde_saphyr::from_str_with_options(&yaml, narrow()) };
        Self(map.unwrap_or_else(|error| {
            tracing::debug!(%error, "the model card's front matter is no YAML");
            BTreeMap::new()
        }))
    }

    /// The values of a key, with commas.
    pub fn words(&self, key: &str) -> String {
        self.0.get(key).map_or_else(String::new, |words| words.0.join(", "))
    }
}

/// No card needs an alias, and a few of them make a gigabyte of words. Norwegian is `no`, not false.
fn narrow() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 0, max_nodes: 4096, max_depth: 16 },
        strict_booleans: true,
    }
}

/// The lines of the wanted keys, each with those below it that belong to it.
fn wanted_lines(readme: &str) -> String {
    let mut lines = readme.trim_start_matches('\u{feff}').lines();
    let mut yaml = String::new();
    if lines.next().is_none_or(|line| line.trim_end() != "---") {
        return yaml;
    }
    let mut wanted = false;
    for line in lines.take_while(|line| line.trim_end() != "---") {
        if let Some((key, _)) = line.split_once(':').filter(|_| line.starts_with(|first: char| first.is_ascii_alphabetic())) {
            wanted = KEYS.iter().any(|(known, _, _)| *known == key.trim_end());
        }
        if wanted && yaml.len() + line.len() < MAX_YAML {
            yaml.push_str(line);
            yaml.push('\n');
        }
    }
    yaml
}

/// One word or several.
#[derive(Debug, Default)]
struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a list of words")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words(vec![text.to_owned()]))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Words, E> {
        Ok(Words(vec![value.to_string()]))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Words, E> {
        Ok(Words(vec![value.to_string()]))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Words, E> {
        Ok(Words(vec![value.to_string()]))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Words, E> {
        Ok(Words(vec![value.to_string()]))
    }

    fn visit_unit<E: Error>(self) -> Result<Words, E> {
        Ok(Words::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Words, A::Error> {
        let mut all = Vec::new();
        while let Some(Words(words)) = access.next_element()? {
            all.extend(words.into_iter().take(MAX_WORDS.saturating_sub(all.len())));
        }
        Ok(Words(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Words, A::Error> {
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Words::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_words_and_lists_of_words() {
        let card = Card::parse(
            "---\nlicense: apache-2.0\nlanguage:\n- en\n- no\ntags: [a: b\nbase_model:\n  - org/base # the first\npipeline_tag: \"text-generation\"\n---\n# Title\nlicense: mit\n",
        );
        for (key, expected) in [
            ("license", "apache-2.0"),
            ("language", "en, no"),
            ("base_model", "org/base"),
            ("pipeline_tag", "text-generation"),
            ("tags", ""),
        ] {
            assert_eq!(card.words(key), expected, "{key}");
        }
    }

    #[test]
    fn an_error_below_another_key_costs_nothing() {
        let card = Card::parse("---\nmodel-index:\n- name: [[[ }\n\tx: &a *a\nlicense: mit\nwidget:\n  - text: 'open\n---\n");
        assert_eq!(card.words("license"), "mit");
    }

    #[test]
    fn a_card_without_front_matter_says_nothing() {
        for readme in ["", "license: mit\n", "# Title\n---\nlicense: mit\n---\n", "---\n", "---\nlicense: [\n---\n"] {
            assert_eq!(Card::parse(readme).words("license"), "", "{readme:?}");
        }
    }

    #[test]
    fn windows_line_ends_and_byte_order_marks_are_no_obstacle() {
        assert_eq!(Card::parse("\u{feff}---\r\nlicense: mit\r\n---\r\n").words("license"), "mit");
    }

    #[test]
    fn a_bomb_of_aliases_says_nothing() {
        let levels = (1..30).map(|level| format!("- &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]\n", level - 1)).collect::<Vec<_>>().concat();
        let card = Card::parse(&format!("---\nlanguage:\n- &a0 [x, x, x, x]\n{levels}---\n"));
        assert_eq!(card.words("language"), "");
    }

    #[test]
    fn knows_the_licences_that_spdx_knows() {
        for (licence, expected) in [
            ("apache-2.0", Some("Apache-2.0")),
            ("MIT", Some("MIT")),
            ("cc-by-nc-4.0", Some("CC-BY-NC-4.0")),
            ("other", None),
            ("llama3.1", None),
            ("apache-2.0, mit", None),
            ("", None),
        ] {
            assert_eq!(spdx(licence), expected, "{licence}");
        }
        assert!(SPDX.is_sorted_by_key(|id| id.to_lowercase()));
    }
}
