//! A file of settings, read strictly: what is not a setting is a mistake, and is said with its line. Pure.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::SettingsError;
use super::keys::Key;
use super::layer::{Layer, Origin, Value};

/// Words for what must never be in a file that is committed.
const SECRETS: [&str; 8] = ["token", "password", "passwd", "passphrase", "secret", "credential", "api-key", "apikey"];
/// Keys in a list.
const MAX_ITEMS: usize = 64;

/// Where in a text something stands.
struct Page<'a> {
    file: &'a Path,
    text: &'a str,
}

/// Something that is set, and where.
struct Line<'a> {
    name: String,
    start: usize,
    value: &'a DeValue<'a>,
}

/// Reads the settings in a text; relative paths are relative to the file's folder.
pub(super) fn parse(text: &str, file: &Path) -> Result<Layer, SettingsError> {
    let page = Page { file, text };
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        SettingsError::invalid(page.place(start), format!("it is not TOML: {}", error.message()))
    })?;
    let mut layer = Layer::default();
    for line in lines(table.get_ref()) {
        page.take(&line, &mut layer)?;
    }
    Ok(layer)
}

/// Everything in the order in which it is written; names of tables go before those in them.
fn lines<'a>(table: &'a DeTable<'a>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for (name, value) in table {
        match value.get_ref() {
            DeValue::Table(inner) if is_table(name.get_ref()) => {
                lines.extend(
                    inner.iter().map(|(key, value)| line(format!("{}.{}", name.get_ref(), key.get_ref()), key.span().start, value)),
                );
            }
            _ => lines.push(line(name.get_ref().to_string(), name.span().start, value)),
        }
    }
    lines.sort_by_key(|line| line.start);
    lines
}

fn line<'a>(name: String, start: usize, value: &'a Spanned<DeValue<'a>>) -> Line<'a> {
    Line { name, start, value: value.get_ref() }
}

fn tables() -> impl Iterator<Item = &'static str> {
    Key::ALL.into_iter().flat_map(Key::spellings).filter_map(|name| name.split_once('.').map(|(table, _)| table))
}

fn is_table(name: &str) -> bool {
    tables().any(|table| table == name)
}

impl Page<'_> {
    fn take(&self, line: &Line<'_>, layer: &mut Layer) -> Result<(), SettingsError> {
        let key = Key::named(&line.name).ok_or_else(|| self.unknown(line))?;
        let number = self.number(line.start);
        if let Some(earlier) = layer.line_of(key) {
            return Err(self.wrong(line, &format!("line {earlier} says it already")));
        }
        let base = self.file.parent().unwrap_or(Path::new(""));
        let texts = self.texts(key, line)?;
        let values = texts.iter().map(|text| key.value(&line.name, text, base)).collect::<Result<Vec<_>, _>>();
        let values = values.map_err(|reason| self.wrong(line, &reason))?;
        let value = if key.row().is_list { Value::Many(values) } else { Value::One(values.concat()) };
        layer.set(key, value, Origin::File { path: self.file.to_owned(), line: number });
        Ok(())
    }

    /// The text of a value, or the texts of a list.
    fn texts(&self, key: Key, line: &Line<'_>) -> Result<Vec<String>, SettingsError> {
        match line.value {
            DeValue::String(text) if !key.row().is_list => Ok(vec![text.to_string()]),
            DeValue::Array(items) if key.row().is_list && items.len() <= MAX_ITEMS => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(|| self.wrong(line, "its items are not all text")))
                .collect(),
            _ if key.row().is_list => Err(self.wrong(line, &format!("it should be a list of at most {MAX_ITEMS} texts"))),
            other => Err(self.wrong(line, &format!("it should be text in quotation marks, and is {}", other.type_str()))),
        }
    }

    fn unknown(&self, line: &Line<'_>) -> SettingsError {
        let last = line.name.rsplit('.').next().unwrap_or_default().to_lowercase().replace('_', "-");
        if SECRETS.iter().any(|word| last.contains(word)) {
            return self.wrong(line, "no secret belongs here").with_hint(
                "a file like this is committed and copied: tokens come from files (--token-file) or variables, passwords from COSIGN_PASSWORD",
            );
        }
        let error = SettingsError::invalid(self.place(line.start), format!("there is no setting {:?}", shortened(&line.name)));
        match nearest(&line.name) {
            Some(name) => error.with_hint(format!("did you mean `{name}`?")),
            None => error.with_hint(format!("there are {}", Key::ALL.map(|key| key.row().name).join(", "))),
        }
    }

    fn wrong(&self, line: &Line<'_>, reason: &str) -> SettingsError {
        SettingsError::invalid(self.place(line.start), format!("`{}`: {reason}", shortened(&line.name)))
    }

    fn place(&self, start: usize) -> String {
        format!("{}:{}", self.file.display(), self.number(start))
    }

    fn number(&self, start: usize) -> usize {
        1 + self.text.bytes().take(start).filter(|byte| *byte == b'\n').count()
    }
}

fn shortened(name: &str) -> String {
    crate::oci::printable(name, 100)
}

/// The known name that is a slip of the pen away; a key in the wrong table is one, too.
fn nearest(name: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let names = || Key::ALL.into_iter().flat_map(Key::spellings).chain(tables());
    let elsewhere = names().find(|known| *known != name && last(known) == last(name));
    let slip = names().map(|known| (distance(known, name), known)).min().filter(|(steps, _)| *steps <= 2).map(|(_, known)| known);
    slip.or(elsewhere)
}

/// How many letters must be added, taken away or replaced (Levenshtein), counted up to what is of interest.
fn distance(known: &str, written: &str) -> usize {
    if written.len() > 2 * known.len() + 2 {
        return usize::MAX;
    }
    let written: Vec<char> = written.chars().collect();
    let mut row: Vec<usize> = (0..=written.len()).collect();
    for (line, letter) in known.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], line + 1);
        for column in 1..row.len() {
            let replaced = corner + usize::from(written[column - 1] != letter);
            corner = row[column];
            row[column] = replaced.min(corner + 1).min(row[column - 1] + 1);
        }
    }
    row[written.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/work/edge/modelcar.toml";

    fn told(text: &str) -> Vec<String> {
        let layer = parse(text, Path::new(FILE)).unwrap();
        Key::ALL.into_iter().filter_map(|key| layer.told(key)).collect()
    }

    fn error(text: &str) -> (String, Option<String>) {
        let error = parse(text, Path::new("modelcar.toml")).err().unwrap();
        (error.to_string(), error.hint())
    }

    #[test]
    fn every_setting_is_read_with_its_line() {
        let text = "# ours\nregistry = \"quay.io\"\norganization = \"acme\"\n\n[gitops]\ndir = \"edge\"\nbranch = \"main\"\npath = \"edge-clusters\"\n\
            style = \"patch\"\npr = \"github\"\nauthor = \"CI <ci@example.com>\"\n[verify]\nkeys = [\"a.pub\", \"/b.pub\"]\npolicy = \"p.yaml\"\n\
            [sign]\nkey = \"env://KEY\"\n[model-registry]\nurl = \"https://r.example.com\"\n";
        assert_eq!(
            told(text),
            [
                "quay.io /work/edge/modelcar.toml:2",
                "acme /work/edge/modelcar.toml:3",
                "/work/edge/edge /work/edge/modelcar.toml:6",
                "main /work/edge/modelcar.toml:7",
                "edge-clusters /work/edge/modelcar.toml:8",
                "patch /work/edge/modelcar.toml:9",
                "github /work/edge/modelcar.toml:10",
                "CI <ci@example.com> /work/edge/modelcar.toml:11",
                "/work/edge/a.pub, /b.pub /work/edge/modelcar.toml:13",
                "/work/edge/p.yaml /work/edge/modelcar.toml:14",
                "env://KEY /work/edge/modelcar.toml:16",
                "https://r.example.com /work/edge/modelcar.toml:18",
            ]
        );
        assert!(told("").is_empty() && told("[gitops]\n").is_empty());
        assert_eq!(told("gitops.branch = \"main\"\r\n"), ["main /work/edge/modelcar.toml:1"]);
    }

    #[test]
    fn a_slip_of_the_pen_is_told_with_its_line_and_the_nearest_name() {
        for (text, message, hint) in [
            ("\nregitsry = \"quay.io\"", "modelcar.toml:2: there is no setting \"regitsry\"", "did you mean `registry`?"),
            ("[gitops]\nbrnach = \"x\"", "modelcar.toml:2: there is no setting \"gitops.brnach\"", "did you mean `gitops.branch`?"),
            ("[git-ops]\nbranch = \"x\"", "modelcar.toml:1: there is no setting \"git-ops\"", "did you mean `gitops`?"),
            ("branch = \"x\"", "modelcar.toml:1: there is no setting \"branch\"", "did you mean `gitops.branch`?"),
            ("[verify]\nkey = \"x\"", "modelcar.toml:2: there is no setting \"verify.key\"", "did you mean `verify.keys`?"),
            ("colour = \"x\"", "modelcar.toml:1: there is no setting \"colour\"", "there are registry, organisation, gitops.url"),
            ("[gitops.url]\nx = 1", "modelcar.toml:1: `gitops.url`: it should be text", ""),
        ] {
            let (told, advice) = error(text);
            assert!(told.starts_with(message), "{text}: {told}");
            assert!(advice.unwrap_or_default().starts_with(hint), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_setting_is_refused() {
        for (text, message) in [
            ("registry = quay.io", "modelcar.toml:1: it is not TOML"),
            ("registry = 5", "modelcar.toml:1: `registry`: it should be text in quotation marks, and is integer"),
            ("registry = \"a.b\"\nregistry = \"c.d\"", "it is not TOML: duplicate key"),
            ("organisation = \"a\"\norganization = \"b\"", "modelcar.toml:2: `organization`: line 1 says it already"),
            ("[gitops]\nurl = \"https://x/y\"\ndir = \"z\"", "modelcar.toml:3: `gitops.dir`: line 2 says it already"),
            ("[verify]\nkeys = \"a.pub\"", "`verify.keys`: it should be a list"),
            ("[verify]\nkeys = [1]", "`verify.keys`: its items are not all text"),
            ("[verify]\nkeys = [\"\"]", "`verify.keys`: it is empty"),
            ("[gitops]\nstyle = \"helm\"", "modelcar.toml:2: `gitops.style`: it is none of patch, images"),
        ] {
            let (told, _) = error(text);
            assert!(told.contains(message), "{text}: {told}");
        }
        let many = format!("[verify]\nkeys = [{}]", "\"a\",".repeat(65));
        assert!(error(&many).0.contains("at most 64"));
        assert!(parse(&"[".repeat(100_000), Path::new("x")).is_err());
    }

    #[test]
    fn no_secret_is_taken_or_repeated() {
        for text in [
            "token = \"s3cret\"",
            "[gitops]\npassword = \"s3cret\"",
            "[model-registry]\napi_key = \"s3cret\"",
            "[sign]\nkey-passphrase = \"s3cret\"",
            "[gitops]\nurl = \"https://ci:s3cret@git.example.com/x\"",
        ] {
            let (told, _) = error(text);
            assert!(told.contains("no secret belongs here") && !told.contains("s3cret"), "{text}: {told}");
        }
        assert!(error("token = \"s3cret\"").1.unwrap().contains("--token-file"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_file_holds_there_is_an_answer(text in "([a-z-]{1,9}|[\\[\\]{}=.,\"'#\n ü0-9]){0,60}") {
            let _ = parse(&text, Path::new("modelcar.toml"));
        }
    }

    #[test]
    fn steps_between_words_are_counted() {
        for (known, written, steps) in
            [("abc", "abc", 0), ("abc", "abd", 1), ("abc", "ab", 1), ("abc", "xabc", 1), ("abc", "", 3), ("", "ab", 2)]
        {
            assert_eq!(distance(known, written), steps, "{known} {written}");
        }
        assert_eq!(distance("abc", &"x".repeat(100)), usize::MAX);
    }
}
