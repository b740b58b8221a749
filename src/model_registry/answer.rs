//! What a registry's answers mean. Pure, and wary: whatever answers may be something else, or hostile.

use serde_json::{Map, Value};
use url::Url;

use super::ModelRegistryError;
use crate::store::registry::{Answer, shown_url};

/// Fields of an entry, of which one is its id.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) fields: Map<String, Value>,
}

impl Found {
    /// The text in a field.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }
}

/// A page of a list.
pub(super) struct Page {
    pub(super) items: Vec<Found>,
    /// What asks for the next page.
    pub(super) next: Option<String>,
}

/// Reads an entry: an object with the id that the registry gave it. For fuzzing, tells no more than that.
///
/// # Errors
/// What is wrong with it.
pub fn read_entity(body: &[u8]) -> Result<String, &'static str> {
    entity(&parse(body)?).map(|found| found.id)
}

/// The entry in a successful answer.
pub(super) fn found(answer: &Answer, url: &Url) -> Result<Found, ModelRegistryError> {
    parse(&answer.body).and_then(|value| entity(&value)).map_err(|reason| bad(url, reason))
}

/// The page of entries in a successful answer.
pub(super) fn page(answer: &Answer, url: &Url) -> Result<Page, ModelRegistryError> {
    parse(&answer.body).and_then(|value| list(&value)).map_err(|reason| bad(url, reason))
}

/// Whether a 404 is about an entry, and not about the address.
pub(super) fn is_about_an_entry(body: &[u8]) -> bool {
    parse(body).is_ok_and(|value| value.is_object())
}

pub(super) fn bad(url: &Url, reason: impl Into<String>) -> ModelRegistryError {
    ModelRegistryError::BadAnswer { url: shown_url(url), reason: reason.into() }
}

fn parse(body: &[u8]) -> Result<Value, &'static str> {
    serde_json::from_slice(body).map_err(|_| "it is not JSON")
}

fn entity(value: &Value) -> Result<Found, &'static str> {
    let fields = value.as_object().ok_or("it is no object")?;
    let id = fields.get("id").and_then(Value::as_str).ok_or("it has no id")?;
    // it becomes part of an address
    if !(1..=19).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("its id is not a number");
    }
    Ok(Found { id: id.to_owned(), fields: fields.clone() })
}

fn list(value: &Value) -> Result<Page, &'static str> {
    let items = value.get("items").ok_or("it is no list")?;
    let none = Vec::new();
    let items = if items.is_null() { &none } else { items.as_array().ok_or("its items are no list")? };
    let next = value.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
    Ok(Page { items: items.iter().map(entity).collect::<Result<_, _>>()?, next: next.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_an_object_with_a_number_for_an_id() {
        assert_eq!(read_entity(br#"{"id":"42","name":"iris","more":[1]}"#), Ok("42".to_owned()));
        for (body, reason) in [
            (&b"<html>log in</html>"[..], "not JSON"),
            (b"[]", "no object"),
            (b"{}", "no id"),
            (br#"{"id":42}"#, "no id"),
            (br#"{"id":""}"#, "not a number"),
            (br#"{"id":"../7"}"#, "not a number"),
            (br#"{"id":"99999999999999999999"}"#, "not a number"),
        ] {
            assert!(read_entity(body).unwrap_err().contains(reason), "{body:?}");
        }
        assert!(read_entity(&b"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_list_may_be_empty_in_every_spelling() {
        let read = |text: &str| parse(text.as_bytes()).and_then(|value| list(&value)).map(|page| (page.items.len(), page.next));
        assert_eq!(read(r#"{"items":[{"id":"1"}],"nextPageToken":"abc"}"#), Ok((1, Some("abc".to_owned()))));
        assert_eq!(read(r#"{"items":null,"nextPageToken":""}"#), Ok((0, None)));
        assert_eq!(read(r#"{"items":{}}"#), Err("its items are no list"));
        assert_eq!(read("{}"), Err("it is no list"));
    }

    #[test]
    fn a_404_with_json_is_about_an_entry() {
        assert!(is_about_an_entry(br#"{"code":"404","message":"no such model"}"#));
        assert!(!is_about_an_entry(b"404 page not found\n") && !is_about_an_entry(b"<html></html>") && !is_about_an_entry(b""));
    }
}
