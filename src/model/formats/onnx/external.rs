//! External data: tensors whose bytes are in a file beside the model.
//!
//! The path is the model author's word, and onnx, onnxruntime and OpenVINO have all been led out of the model's folder by it
//! (CVE-2024-27318, CVE-2025-51480, CVE-2026-27489, CVE-2026-34445). Here it must be a plain relative path to a file of the model that is
//! long enough. See <https://github.com/onnx/onnx/blob/main/docs/ExternalData.md>.

use super::error::{OnnxError, Refusal};
use super::schema::OnnxModel;

/// Files beside one model; a model of a thousand shards has a thousand.
const MAX_FILES: usize = 10_000;

/// A file beside the model, as far as the model uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalFile {
    /// How many tensors have their data there.
    pub tensors: u64,
    /// The tensor whose data reach furthest into it.
    pub last_tensor: String,
    /// Where that tensor's data end, in bytes.
    pub end: u64,
    /// Its number, in the order in which the model names them.
    pub(super) number: usize,
}

/// Data of a tensor in such a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DataRange {
    /// [`ExternalFile::number`].
    pub(super) file: usize,
    /// Where they begin, in bytes.
    pub(super) offset: u64,
    /// How many bytes.
    pub(super) length: u64,
}

/// The `external_data` of one tensor.
#[derive(Debug, Default)]
pub(super) struct Pointer {
    location: Option<String>,
    offset: Option<String>,
    length: Option<String>,
    twice: Option<&'static str>,
}

impl Pointer {
    /// Takes one entry. Keys that we do not know (`checksum`, a writer's own) change nothing, also in onnx since CVE-2026-34445.
    pub(super) fn set(&mut self, key: &str, value: String) {
        let (key, slot) = match key {
            "location" => ("location", &mut self.location),
            "offset" => ("offset", &mut self.offset),
            "length" => ("length", &mut self.length),
            _ => return,
        };
        if slot.replace(value).is_some() {
            self.twice = Some(key);
        }
    }

    /// The place beside the model, and the offset and length of the data in it, for a tensor that needs so many bytes.
    fn judged(&self, needed: Option<u64>) -> Result<(String, u64, u64), Refusal> {
        if let Some(key) = self.twice {
            return Err(Refusal::Twice { key });
        }
        let location = self.location.as_deref().ok_or(Refusal::NoLocation)?;
        let place = plain_place(location).map_err(|why| Refusal::Location { location: location.to_owned(), why })?;
        let offset = number("offset", self.offset.as_deref())?;
        let length = data_length(number("length", self.length.as_deref())?, needed)?;
        match offset.checked_add(length) {
            Some(_) => Ok((place, offset, length)),
            None => Err(Refusal::Overflow),
        }
    }
}

/// Zero and none both mean: as the shape says. Otherwise the two must agree, as onnxruntime demands.
fn data_length(length: u64, needed: Option<u64>) -> Result<u64, Refusal> {
    match (length, needed) {
        (0, needed) => Ok(needed.unwrap_or_default()),
        (length, Some(needed)) if length != needed => Err(Refusal::Length { length, needed }),
        _ => Ok(length),
    }
}

fn number(key: &'static str, value: Option<&str>) -> Result<u64, Refusal> {
    let Some(value) = value else { return Ok(0) };
    value.parse().map_err(|_| Refusal::Number { key, value: value.to_owned() })
}

/// The location as a path of plain names, or why it is none.
fn plain_place(location: &str) -> Result<String, &'static str> {
    if let Some(why) = objection(location) {
        return Err(why);
    }
    let names: Vec<_> = location.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    if names.is_empty() { Err("is a folder") } else { Ok(names.join("/")) }
}

fn objection(location: &str) -> Option<&'static str> {
    let drive = |text: &str| matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    match location {
        "" => Some("is empty"),
        text if text.contains('\u{fffd}') => Some("is not UTF-8"),
        text if text.chars().any(char::is_control) => Some("has a control character"),
        text if text.contains('\\') => Some("has a backslash"),
        text if text.contains("://") => Some("is a URL"),
        text if text.starts_with('/') => Some("is an absolute path"),
        text if drive(text) => Some("has a drive letter"),
        // onnxruntime takes `*/_ORT_MEM_ADDR_/` for an address in its own memory.
        text if text.starts_with("*/") => Some("is an address in a server's memory"),
        text if text.split('/').any(|name| name == "..") => Some("leads out of the model's folder"),
        text if text.ends_with('/') => Some("is a folder"),
        text if text.len() >= 4096 => Some("is too long"),
        _ => None,
    }
}

impl OnnxModel {
    /// Notes that a tensor's data are elsewhere, and says where.
    pub(super) fn point(&mut self, tensor: &str, pointer: &Pointer, needed: Option<u64>) -> Result<DataRange, OnnxError> {
        let (place, offset, length) = pointer.judged(needed).map_err(|refusal| OnnxError::external(tensor, refusal))?;
        if self.external.len() >= MAX_FILES && !self.external.contains_key(&place) {
            let why = "is one of more than 10000 data files";
            return Err(OnnxError::external(tensor, Refusal::Location { location: place, why }));
        }
        let number = self.external.len();
        let file = self.external.entry(place).or_insert_with(|| ExternalFile { number, ..ExternalFile::default() });
        let end = offset + length;
        file.tensors += 1;
        if end > file.end || file.tensors == 1 {
            file.end = end;
            tensor.clone_into(&mut file.last_tensor);
        }
        Ok(DataRange { file: file.number, offset, length })
    }
}

impl ExternalFile {
    /// Whether a file of this size holds all data that the model looks for in it.
    pub(super) fn check_size(&self, location: &str, size: Option<u64>) -> Result<(), OnnxError> {
        let location = location.to_owned();
        let refusal = match size {
            None => Refusal::Missing { location },
            Some(size) if size < self.end => Refusal::Short { location, end: self.end, size },
            Some(_) => return Ok(()),
        };
        Err(OnnxError::external(&self.last_tensor, refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(entries: &[(&str, &str)]) -> Pointer {
        let mut pointer = Pointer::default();
        for (key, value) in entries {
            pointer.set(key, (*value).to_owned());
        }
        pointer
    }

    #[test]
    fn a_location_is_a_plain_relative_path_or_refused() {
        for (location, expected) in [
            ("weights.data", Ok("weights.data")),
            ("./sub//weights.data", Ok("sub/weights.data")),
            ("..data", Ok("..data")),
            ("模型.bin", Ok("模型.bin")),
            ("", Err("is empty")),
            (".", Err("is a folder")),
            ("sub/", Err("is a folder")),
            ("/etc/passwd", Err("is an absolute path")),
            ("../w", Err("leads out of the model's folder")),
            ("a/../../w", Err("leads out of the model's folder")),
            ("a/..", Err("leads out of the model's folder")),
            ("a\\..\\w", Err("has a backslash")),
            ("w\0.bin", Err("has a control character")),
            ("C:/w", Err("has a drive letter")),
            ("c:w", Err("has a drive letter")),
            ("https://x/w", Err("is a URL")),
            ("file:///w", Err("is a URL")),
            ("*/_ORT_MEM_ADDR_/", Err("is an address in a server's memory")),
            ("w\u{fffd}", Err("is not UTF-8")),
        ] {
            assert_eq!(plain_place(location), expected.map(str::to_owned), "{location:?}");
        }
        assert_eq!(plain_place(&"x".repeat(4096)), Err("is too long"));
    }

    #[test]
    fn where_the_data_end_is_computed_or_refused() {
        let max = u64::MAX.to_string();
        for (entries, needed, expected) in [
            (&[("location", "w"), ("offset", "8"), ("length", "12")][..], Some(12), Ok(20)),
            (&[("location", "w"), ("offset", "8")], Some(12), Ok(20)),
            (&[("location", "w"), ("length", "0")], Some(12), Ok(12)),
            (&[("location", "w"), ("offset", "8")], None, Ok(8)),
            (&[("location", "w"), ("length", "12")], None, Ok(12)),
            (&[("location", "w"), ("checksum", "x"), ("basepath", "/etc")], Some(1), Ok(1)),
            (&[("location", "w"), ("length", "11")], Some(12), Err(Refusal::Length { length: 11, needed: 12 })),
            (&[("location", "w"), ("offset", &max)], Some(12), Err(Refusal::Overflow)),
            (&[("location", "w"), ("offset", "-1")], None, Err(Refusal::Number { key: "offset", value: "-1".to_owned() })),
            (&[("location", "w"), ("length", "many")], None, Err(Refusal::Number { key: "length", value: "many".to_owned() })),
            (&[("location", "w"), ("location", "v")], None, Err(Refusal::Twice { key: "location" })),
            (&[("offset", "1")], None, Err(Refusal::NoLocation)),
        ] {
            assert_eq!(pointer(entries).judged(needed).map(|(_, offset, length)| offset + length), expected, "{entries:?}");
        }
    }

    #[test]
    fn the_tensor_that_does_not_fit_is_named() {
        let mut model = OnnxModel::default();
        for (name, offset) in [("first", "0"), ("last", "100"), ("middle", "50")] {
            model.point(name, &pointer(&[("location", "w"), ("offset", offset)]), Some(10)).unwrap();
        }
        let file = &model.external["w"];
        assert_eq!((file.tensors, file.end), (3, 110));
        assert!(file.check_size("w", Some(110)).is_ok());
        let error = file.check_size("w", Some(109)).unwrap_err().to_string();
        assert_eq!(error, "tensor \"last\": its external data end at byte 110 of \"w\", which has 109");
        let error = file.check_size("w", None).unwrap_err().to_string();
        assert_eq!(error, "tensor \"last\": its external data \"w\" are missing");
    }
}
