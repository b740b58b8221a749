//! Types, shapes and names as OpenVINO writes them.

use crate::model::Dimension;

/// Characters of a name that are kept.
const MAX_NAME: usize = 256;
/// Dimensions of a shape.
const MAX_RANK: usize = 64;

/// `f32` in layers, `FP32` at ports; both are `float32`. A type that came later keeps its word.
pub(super) fn element_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let known = match lower.as_str() {
        "f64" | "fp64" => "float64",
        "f32" | "fp32" => "float32",
        "f16" | "fp16" => "float16",
        "bf16" => "bfloat16",
        "i64" => "int64",
        "i32" => "int32",
        "i16" => "int16",
        "i8" => "int8",
        "i4" => "int4",
        "u64" => "uint64",
        "u32" => "uint32",
        "u16" => "uint16",
        "u8" => "uint8",
        "u4" => "uint4",
        "boolean" | "bool" => "bool",
        _ => return lower.chars().take(32).collect(),
    };
    known.to_owned()
}

/// `?,3,1..8`; none for `...`, where the rank is open.
pub(super) fn shape(text: &str) -> Option<Vec<Dimension>> {
    if text.contains("...") {
        return None;
    }
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Some(words.take(MAX_RANK).map(|word| word.parse().map_or(Dimension::Unknown, Dimension::Fixed)).collect())
}

/// How many elements a constant of this shape has.
pub(super) fn elements(shape: &str) -> u64 {
    let words = shape.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.fold(1, |product: u64, word| product.saturating_mul(word.parse().unwrap_or(0)))
}

/// The one that OpenVINO tells of several: the least. A comma in a name is written `\,`.
pub(super) fn first_name(names: &str) -> Option<String> {
    let names = names.replace("\\,", "\0");
    let least = names.split(',').filter(|name| !name.is_empty()).min()?;
    Some(least.replace('\0', ",").chars().take(MAX_NAME).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::shape_text;

    #[test]
    fn types_have_one_name() {
        for (text, expected) in [("f32", "float32"), ("FP16", "float16"), ("BOOL", "bool"), ("i64", "int64"), ("nf4", "nf4"), ("", "")] {
            assert_eq!(element_type(text), expected, "{text}");
        }
    }

    #[test]
    fn shapes_are_read_as_they_are_written() {
        for (text, expected) in [("?,3", Some("[?,3]")), ("1, 2..8", Some("[1,?]")), ("", Some("[]")), ("...", None)] {
            assert_eq!(shape(text).map(|shape| shape_text(&shape)).as_deref(), expected, "{text}");
        }
        for (text, expected) in [("3, 2", 6), ("", 1), ("0", 0), ("4294967296,4294967296,2", u64::MAX), ("x", 0)] {
            assert_eq!(elements(text), expected, "{text}");
        }
    }

    #[test]
    fn of_several_names_the_least_is_told() {
        for (names, expected) in [("x,features:0", Some("features:0")), ("a\\,b", Some("a,b")), ("", None), (",", None)] {
            assert_eq!(first_name(names).as_deref(), expected, "{names}");
        }
    }
}
