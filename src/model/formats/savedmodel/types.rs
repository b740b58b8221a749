//! TensorFlow's numbers and names.

/// Operators that read or write files of the server, or call Python, which no server has.
pub(super) const FILE_OPERATORS: [&str; 16] = [
    "DebugIdentity",
    "DebugIdentityV2",
    "DumpTensor",
    "EagerPyFunc",
    "FixedLengthRecordReaderV2",
    "ImmutableConst",
    "MatchingFiles",
    "PyFunc",
    "PyFuncStateless",
    "ReadFile",
    "TFRecordDataset",
    "TFRecordReaderV2",
    "TextLineDataset",
    "TextLineReaderV2",
    "WholeFileReaderV2",
    "WriteFile",
];

/// As in <https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/types.proto>; above 100 are references.
pub(super) fn element_type(number: i64) -> String {
    let name = match number % 100 {
        1 => "float32",
        2 => "float64",
        3 => "int32",
        4 => "uint8",
        5 => "int16",
        6 => "int8",
        7 => "string",
        8 => "complex64",
        9 => "int64",
        10 => "bool",
        11 => "qint8",
        12 => "quint8",
        13 => "qint32",
        14 => "bfloat16",
        15 => "qint16",
        16 => "quint16",
        17 => "uint16",
        18 => "complex128",
        19 => "float16",
        20 => "resource",
        21 => "variant",
        22 => "uint32",
        23 => "uint64",
        24 => "float8_e5m2",
        25 => "float8_e4m3fn",
        29 => "int4",
        30 => "uint4",
        _ => return format!("type {number}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_that_people_use() {
        for (number, expected) in [(1, "float32"), (101, "float32"), (19, "float16"), (0, "type 0"), (-1, "type -1"), (99, "type 99")] {
            assert_eq!(element_type(number), expected);
        }
        assert!(FILE_OPERATORS.is_sorted());
    }
}
