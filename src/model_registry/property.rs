//! Custom properties: what an entry says beyond the API's own fields. Pure.

use serde::Serialize;

use super::ModelRegistryError;

/// The greatest integer that the API's `^-?([1-9][0-9]{0,8}|0)$` lets through.
const MAX_INT: u64 = 999_999_999;
/// The longest name, in characters: the column in the registry's database.
const MAX_KEY: usize = 255;
/// The longest text, in bytes: MySQL's `TEXT`.
const MAX_TEXT: usize = 65_535;

/// A typed value, as the API's `MetadataValue` writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "metadataType")]
pub enum Property {
    /// Text.
    #[serde(rename = "MetadataStringValue")]
    Text {
        /// The text.
        string_value: String,
    },
    /// An integer of at most nine digits; JSON gets it as text.
    #[serde(rename = "MetadataIntValue")]
    Int {
        /// Its digits.
        int_value: String,
    },
    /// A number.
    #[serde(rename = "MetadataDoubleValue")]
    Double {
        /// The number.
        double_value: f64,
    },
    /// Yes or no.
    #[serde(rename = "MetadataBoolValue")]
    Bool {
        /// Which.
        bool_value: bool,
    },
}

impl Property {
    /// Text, cut to what a registry keeps.
    pub fn text(text: &str) -> Self {
        let end = text.char_indices().map(|(at, character)| at + character.len_utf8()).take_while(|end| *end <= MAX_TEXT).last();
        Self::Text { string_value: text[..end.unwrap_or_default()].to_owned() }
    }

    /// A count of bytes or things: an integer where the API's fits, else a double, which is exact up to 2⁵³.
    pub fn number(number: u64) -> Self {
        match number {
            0..=MAX_INT => Self::Int { int_value: number.to_string() },
            #[expect(clippy::cast_precision_loss, reason = "9 PB are not counted byte by byte")]
            _ => Self::Double { double_value: number as f64 },
        }
    }

    /// Reads `KEY=TEXT`, `KEY:int=NUMBER`, `KEY:double=NUMBER` or `KEY:bool=true`.
    pub fn parse_pair(pair: &str) -> Result<(String, Self), ModelRegistryError> {
        let refused = |key: &str, reason| ModelRegistryError::Property { key: key.chars().take(100).collect(), reason };
        let (name, text) = pair.split_once('=').ok_or_else(|| refused(pair, "there is no `=` in it"))?;
        let (key, kind) = name.rsplit_once(':').filter(|(_, kind)| matches!(*kind, "int" | "double" | "bool")).unwrap_or((name, "text"));
        if key.is_empty()
            || key.chars().count() > MAX_KEY
            || key.chars().any(|character| character.is_control() || character.is_whitespace())
        {
            return Err(refused(key, "a name has 1 to 255 characters and no blanks"));
        }
        let value = Self::parse(kind, text).map_err(|reason| refused(key, reason))?;
        Ok((key.to_owned(), value))
    }

    fn parse(kind: &str, text: &str) -> Result<Self, &'static str> {
        match kind {
            "int" => int(text).map(|int_value| Self::Int { int_value }).ok_or("an integer of the registry has at most nine digits"),
            "double" => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                number.map(|double_value| Self::Double { double_value }).ok_or("it is not a number")
            }
            "bool" => text.parse().map(|bool_value| Self::Bool { bool_value }).map_err(|_| "it is neither `true` nor `false`"),
            _ if text.len() > MAX_TEXT => Err("its text is longer than 64 KiB"),
            _ => Ok(Self::text(text)),
        }
    }
}

/// The integer in the one spelling that the API has for it.
fn int(text: &str) -> Option<String> {
    let number: i64 = text.parse().ok()?;
    (number.unsigned_abs() <= MAX_INT).then(|| number.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_the_api_types_them() {
        for (pair, key, expected) in [
            ("team=vision", "team", json!({"metadataType": "MetadataStringValue", "string_value": "vision"})),
            ("note=a=b", "note", json!({"metadataType": "MetadataStringValue", "string_value": "a=b"})),
            ("empty=", "empty", json!({"metadataType": "MetadataStringValue", "string_value": ""})),
            ("epochs:int=+042", "epochs", json!({"metadataType": "MetadataIntValue", "int_value": "42"})),
            ("shift:int=-7", "shift", json!({"metadataType": "MetadataIntValue", "int_value": "-7"})),
            ("accuracy:double=0.97", "accuracy", json!({"metadataType": "MetadataDoubleValue", "double_value": 0.97})),
            ("quantised:bool=true", "quantised", json!({"metadataType": "MetadataBoolValue", "bool_value": true})),
            ("a:b=c", "a:b", json!({"metadataType": "MetadataStringValue", "string_value": "c"})),
        ] {
            let (name, value) = Property::parse_pair(pair).unwrap();
            assert_eq!((name.as_str(), serde_json::to_value(value).unwrap()), (key, expected), "{pair}");
        }
    }

    #[test]
    fn what_the_api_cannot_carry_is_refused() {
        let long = format!("a={}", "x".repeat(70_000));
        for (pair, reason) in [
            ("team", "no `=`"),
            ("=x", "1 to 255"),
            ("a b=x", "no blanks"),
            ("n:int=1.5", "nine digits"),
            ("n:int=1000000000", "nine digits"),
            ("n:int=99999999999999999999", "nine digits"),
            ("n:double=NaN", "not a number"),
            ("n:double=1e999", "not a number"),
            ("n:bool=yes", "neither"),
            (long.as_str(), "64 KiB"),
        ] {
            let error = Property::parse_pair(pair).unwrap_err();
            assert!(error.to_string().contains(reason) && error.exit_code() == 2, "{pair}: {error}");
        }
    }

    #[test]
    fn sizes_beyond_nine_digits_are_doubles() {
        let written = |number| serde_json::to_string(&Property::number(number)).unwrap();
        assert_eq!(written(0), r#"{"metadataType":"MetadataIntValue","int_value":"0"}"#);
        assert_eq!(written(MAX_INT), r#"{"metadataType":"MetadataIntValue","int_value":"999999999"}"#);
        assert_eq!(written(1_000_000_000), r#"{"metadataType":"MetadataDoubleValue","double_value":1000000000.0}"#);
        assert_eq!(Property::text(&"ü".repeat(40_000)), Property::Text { string_value: "ü".repeat(32_767) });
    }
}
