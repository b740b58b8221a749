//! joblib's arrays: after the state of a `NumpyArrayWrapper` their bytes stand in the middle of the pickle.
//!
//! joblib's reader takes as many bytes as shape and type say, so whoever steps over them must count exactly as it does. Where that cannot be
//! done nothing behind the array is believed. See <https://github.com/joblib/joblib/blob/1.6.0/joblib/numpy_pickle.py>.

use super::error::Defect;
use super::imports::Imports;
use super::values::{Fields, Node, State, Value, Values};

/// The class that stands for an array.
pub(super) const WRAPPERS: &[&str] = &["joblib.numpy_pickle.NumpyArrayWrapper", "sklearn.externals.joblib.numpy_pickle.NumpyArrayWrapper"];
/// Its forerunners: their arrays are in files beside the pickle.
pub(super) const OLD_WRAPPERS: &[&str] = &[
    "joblib.numpy_pickle_compat.NDArrayWrapper",
    "joblib.numpy_pickle_compat.ZNDArrayWrapper",
    "joblib.numpy_pickle.NDArrayWrapper",
    "joblib.numpy_pickle.ZNDArrayWrapper",
];

/// What stands in the middle of the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Embedded {
    /// So many bytes.
    Bytes {
        length: u64,
        /// A byte before them says how many more to leave out: joblib since 1.2.
        is_aligned: bool,
    },
    /// Another pickle: an array of objects.
    Pickle,
}

impl Embedded {
    /// What follows the state of this wrapper.
    pub(super) fn after(wrapper: Value, values: &Values, imports: &Imports) -> Result<Self, Defect> {
        let fields = values.fields_of(wrapper).ok_or(Defect::Array { why: "it has no plain state" })?;
        let (size, has_objects) = item(get(fields, "dtype")?, values, imports).ok_or(Defect::Array { why: "its type" })?;
        if has_objects {
            return Ok(Self::Pickle);
        }
        let count = count(get(fields, "shape")?, values).ok_or(Defect::Array { why: "its shape" })?;
        let length = count.checked_mul(size).filter(|length| i64::try_from(*length).is_ok());
        let length = length.ok_or(Defect::Array { why: "it is beyond 63 bits" })?;
        let is_aligned = match get_optional(fields, "numpy_array_alignment_bytes")? {
            None | Some(Value::None) => false,
            Some(Value::Int(_)) => true,
            Some(_) => return Err(Defect::Array { why: "its alignment" }),
        };
        Ok(Self::Bytes { length, is_aligned })
    }
}

fn get_optional(fields: &Fields, key: &str) -> Result<Option<Value>, Defect> {
    fields.get(key).map_err(|()| Defect::Array { why: "its state has a key that cannot be told" })
}

fn get(fields: &Fields, key: &str) -> Result<Value, Defect> {
    get_optional(fields, key)?.ok_or(Defect::Array { why: "it has no shape or type" })
}

fn count(shape: Value, values: &Values) -> Option<u64> {
    values.items_of(shape)?.iter().try_fold(1_u64, |product, dimension| match dimension {
        Value::Int(dimension) => product.checked_mul(u64::try_from(*dimension).ok()?),
        _ => None,
    })
}

/// Bytes of an element, and whether elements are Python objects.
fn item(dtype: Value, values: &Values, imports: &Imports) -> Option<(u64, bool)> {
    let Some(Node::Object { callable: Value::Import(class), arguments, state }) = values.node_of(dtype) else { return None };
    if !imports.get(*class)?.is_any(&["numpy.dtype"]) {
        return None;
    }
    let name = values.text_of(*values.items_of(*arguments)?.first()?)?;
    let size = item_size(name)?;
    let details = match state {
        State::Unset => None,
        State::Set(state) => Some(values.items_of(*state)?),
        State::Twice => return None,
    };
    judge_state(name, size, details)
}

/// `f8`, `U7`, `V16`: a letter and a number.
fn item_size(name: &str) -> Option<u64> {
    let digits = name.get(1..)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match name.as_bytes().first()? {
        b'b' | b'i' | b'u' | b'f' | b'c' | b'm' | b'M' if (1..=32).contains(&number) => Some(number),
        b'S' | b'V' | b'O' if number > 0 => Some(number),
        // Four bytes for each character.
        b'U' if number > 0 => number.checked_mul(4),
        _ => None,
    }
}

/// `(version, order, subarray, names, fields, size, alignment, flags)`; the size is −1 where the name says it, the lowest flag says that
/// there are objects. See `arraydescr_setstate` in numpy's descriptor.c.
fn judge_state(name: &str, size: u64, state: Option<&[Value]>) -> Option<(u64, bool)> {
    let is_object = name.starts_with('O');
    let Some(state) = state else { return Some((size, is_object)) };
    let [Value::Int(3 | 4), _, Value::None, _, _, Value::Int(told), _, Value::Int(flags), ..] = state else { return None };
    let agrees = *told == -1 || u64::try_from(*told) == Ok(size);
    agrees.then_some((size, is_object || flags & 1 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_numpy() {
        for (name, size) in
            [("f8", Some(8)), ("b1", Some(1)), ("U7", Some(28)), ("S3", Some(3)), ("V64", Some(64)), ("M8", Some(8)), ("c16", Some(16))]
        {
            assert_eq!(item_size(name), size, "{name}");
        }
        for name in ["", "f", "8", "f0", "f-8", "f+8", "x4", "f4,f4", "U99999999999999999999", "U9223372036854775807", "é1"] {
            assert_eq!(item_size(name), None, "{name}");
        }
    }

    #[test]
    fn a_state_that_contradicts_the_name_is_not_believed() {
        let state = |told, flags| {
            let none = Value::None;
            [Value::Int(3), Value::Opaque, none, none, none, Value::Int(told), Value::Int(-1), Value::Int(flags)]
        };
        assert_eq!(judge_state("f8", 8, Some(&state(-1, 0))), Some((8, false)));
        assert_eq!(judge_state("V16", 16, Some(&state(16, 0))), Some((16, false)));
        assert_eq!(judge_state("V16", 16, Some(&state(16, 63))), Some((16, true)));
        assert_eq!(judge_state("V16", 16, Some(&state(17, 0))), None);
        assert_eq!(judge_state("f8", 8, Some(&[])), None);
        assert_eq!(judge_state("O8", 8, None), Some((8, true)));
    }
}
