//! ONNX's element types: numbers in the file, names for people, sizes for the check of external data.
//! See <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>, `TensorProto.DataType`.

/// An element type: its number, its name, and the bits that one element takes (none: not fixed, or not known).
const TYPES: &[(i64, &str, Option<u64>)] = &[
    (1, "float32", Some(32)),
    (2, "uint8", Some(8)),
    (3, "int8", Some(8)),
    (4, "uint16", Some(16)),
    (5, "int16", Some(16)),
    (6, "int32", Some(32)),
    (7, "int64", Some(64)),
    (STRING, "string", None),
    (9, "bool", Some(8)),
    (10, "float16", Some(16)),
    (11, "float64", Some(64)),
    (12, "uint32", Some(32)),
    (13, "uint64", Some(64)),
    (14, "complex64", Some(64)),
    (15, "complex128", Some(128)),
    (16, "bfloat16", Some(16)),
    (17, "float8e4m3fn", Some(8)),
    (18, "float8e4m3fnuz", Some(8)),
    (19, "float8e5m2", Some(8)),
    (20, "float8e5m2fnuz", Some(8)),
    (21, "uint4", Some(4)),
    (22, "int4", Some(4)),
    (23, "float4e2m1", Some(4)),
    (24, "float8e8m0", Some(8)),
    (25, "uint2", Some(2)),
    (26, "int2", Some(2)),
    (27, "float6e2m3", None),
    (28, "float6e3m2", None),
];

/// `TensorProto.DataType.STRING`.
pub(super) const STRING: i64 = 8;

/// The name of an element type; newer ones than we know are `unknown`.
pub(super) fn name(number: i64) -> &'static str {
    TYPES.iter().find(|(known, ..)| *known == number).map_or("unknown", |(_, name, _)| name)
}

/// The bytes that so many elements take, packed without gaps.
pub(super) fn size_of(number: i64, elements: u64) -> Option<u64> {
    let (.., bits) = TYPES.iter().find(|(known, ..)| *known == number)?;
    Some(elements.checked_mul((*bits)?)?.div_ceil(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_packed_data() {
        for (number, elements, size) in
            [(1, 3, Some(12)), (22, 3, Some(2)), (25, 5, Some(2)), (9, 0, Some(0)), (8, 3, None), (99, 3, None), (15, u64::MAX, None)]
        {
            assert_eq!(size_of(number, elements), size, "{number} × {elements}");
        }
    }
}
