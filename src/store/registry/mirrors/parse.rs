//! The text of a `registries.conf`. Unknown keys are passed over, as containers/image does; what is known must be right. Pure.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Mirror, Mirrors, Serves};

/// Reads a text. An error says what is wrong, and in which line where that is known.
pub(super) fn parse(text: &str, file: &Path) -> Result<Mirrors, String> {
    let table = DeTable::parse(text).map_err(|error| match error.span() {
        Some(span) => format!("line {}: it is not TOML: {}", 1 + text[..span.start].matches('\n').count(), error.message()),
        None => format!("it is not TOML: {}", error.message()),
    })?;
    let table = Table { table: table.get_ref(), name: String::new() };
    let older = older_form(&table, file)?;
    let entries = table.tables("registry")?.iter().map(|entry| read_entry(entry, file)).collect::<Result<Vec<_>, _>>()?;
    if !older.is_empty() && !entries.is_empty() {
        return Err("it mixes `[registries.…]` with `[[registry]]`, the older form with the newer".to_owned());
    }
    let entries = if entries.is_empty() { older } else { entries };
    check_agreement(&entries)?;
    Ok(Mirrors { entries })
}

/// `[registries.insecure]` and `[registries.block]`, each with a list.
fn older_form(table: &Table<'_>, file: &Path) -> Result<Vec<Entry>, String> {
    let Some(registries) = table.table("registries")? else { return Ok(Vec::new()) };
    let listed = |name| registries.table(name)?.map_or_else(|| Ok(Vec::new()), |list| list.texts("registries"));
    let (insecure, blocked): (Vec<String>, Vec<String>) = (listed("insecure")?, listed("block")?);
    let mut names: Vec<&String> = insecure.iter().chain(&blocked).collect();
    names.sort();
    names.dedup();
    let entry = |name: &String| Entry {
        prefix: name.clone(),
        location: Some(name.clone()),
        insecure: insecure.contains(name),
        blocked: blocked.contains(name),
        mirrors: Vec::new(),
        file: file.to_owned(),
    };
    Ok(names.into_iter().map(entry).collect())
}

fn read_entry(table: &Table<'_>, file: &Path) -> Result<Entry, String> {
    let location = table.text("location")?.map(|location| place(&location)).transpose()?;
    let written = table.text("prefix")?.filter(|prefix| !prefix.is_empty()).map(|prefix| place(&prefix)).transpose()?;
    let prefix = written.or(location.clone()).ok_or("a `[[registry]]` has no `location` and no `prefix`")?;
    if location.is_none() && !prefix.starts_with("*.") {
        return Err(format!("`{prefix}` has no `location`, which only a prefix such as `*.example.com` may lack"));
    }
    if table.text("pull-from-mirror")?.is_some() {
        return Err(format!("`{prefix}` has a `pull-from-mirror`, which belongs to a `[[registry.mirror]]`"));
    }
    let only_digests = table.flag("mirror-by-digest-only")?;
    let mirrors = table.tables("mirror")?.iter().map(|mirror| read_mirror(mirror, only_digests)).collect::<Result<_, _>>()?;
    Ok(Entry { prefix, location, insecure: table.flag("insecure")?, blocked: table.flag("blocked")?, mirrors, file: file.to_owned() })
}

fn read_mirror(table: &Table<'_>, only_digests: bool) -> Result<Mirror, String> {
    let location = place(&table.text("location")?.ok_or("a `[[registry.mirror]]` has no `location`")?)?;
    let serves = match (table.text("pull-from-mirror")?.as_deref(), only_digests) {
        (None | Some(""), true) | (Some("digest-only"), false) => Serves::Digests,
        (None | Some("" | "all"), false) => Serves::All,
        (Some("tag-only"), false) => Serves::Tags,
        (Some(_), true) => return Err(format!("mirror `{location}` has a `pull-from-mirror` beside `mirror-by-digest-only`")),
        (Some(other), false) => {
            return Err(format!("mirror `{location}`: `pull-from-mirror` is all, digest-only or tag-only, not `{other}`"));
        }
    };
    Ok(Mirror { location, insecure: table.flag("insecure")?, serves })
}

/// `host[:port][/path]` without a slash behind it.
fn place(written: &str) -> Result<String, String> {
    let trimmed = written.trim_end_matches('/');
    match trimmed {
        "" => Err("a `location` or `prefix` is empty".to_owned()),
        _ if trimmed.contains("://") => Err(format!("`{written}` begins with a scheme; write host and path alone")),
        _ if trimmed.chars().any(|character| character.is_whitespace() || character.is_control()) => {
            Err(format!("{written:?} is no place: it has white space in it"))
        }
        _ => Ok(trimmed.to_owned()),
    }
}

/// One place cannot be blocked and not blocked, whatever prefixes lead to it.
fn check_agreement(entries: &[Entry]) -> Result<(), String> {
    for (number, entry) in entries.iter().enumerate() {
        let other = entries[..number].iter().filter(|other| other.location.is_some()).find(|other| other.location == entry.location);
        let Some(other) = other else { continue };
        if (other.insecure, other.blocked) != (entry.insecure, entry.blocked) {
            let location = entry.location.as_deref().unwrap_or_default();
            return Err(format!("`{location}` is there twice, with other words on `insecure` or `blocked`"));
        }
    }
    Ok(())
}

/// A table and where it stands, for messages.
struct Table<'a> {
    table: &'a DeTable<'a>,
    name: String,
}

impl<'a> Table<'a> {
    fn value(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value.get_ref())
    }

    fn wrong(&self, key: &str, wanted: &str, found: &DeValue<'_>) -> String {
        format!("`{}{key}` should be {wanted}, and is {}", self.name, found.type_str())
    }

    fn inner(&self, key: &str, table: &'a DeTable<'a>) -> Self {
        Self { table, name: format!("{}{key}.", self.name) }
    }

    fn text(&self, key: &str) -> Result<Option<String>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text.to_string())),
            Some(other) => Err(self.wrong(key, "text", other)),
        }
    }

    /// False where nothing is written.
    fn flag(&self, key: &str) -> Result<bool, String> {
        match self.value(key) {
            None => Ok(false),
            Some(DeValue::Boolean(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(key, "true or false", other)),
        }
    }

    fn table(&self, key: &str) -> Result<Option<Self>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::Table(table)) => Ok(Some(self.inner(key, table))),
            Some(other) => Err(self.wrong(key, "a table", other)),
        }
    }

    fn tables(&self, key: &str) -> Result<Vec<Self>, String> {
        let table = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
            DeValue::Table(table) => Ok(self.inner(key, table)),
            other => Err(self.wrong(key, "a list of tables", other)),
        };
        self.items(key, "a list of tables")?.iter().map(table).collect()
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let text = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
            DeValue::String(text) => place(text),
            other => Err(self.wrong(key, "a list of texts", other)),
        };
        self.items(key, "a list of texts")?.iter().map(text).collect()
    }

    fn items(&self, key: &str, wanted: &str) -> Result<&'a [Spanned<DeValue<'a>>], String> {
        match self.value(key) {
            None => Ok(&[]),
            Some(DeValue::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong(key, wanted, other)),
        }
    }
}
