//! The types of tensors and of whole files, by number:
//! <https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py>.

/// A type's number, name, elements of a block, and bytes of a block. Numbers that are not here were withdrawn.
const TENSOR_TYPES: [(u32, &str, u64, u64); 34] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 40),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

/// What `general.file_type` says.
const FILE_TYPES: [(u64, &str); 35] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
    (38, "MXFP4_MOE"),
    (39, "NVFP4"),
    (40, "Q1_0"),
];

/// The type of a tensor's elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorType {
    pub(super) name: String,
    /// Elements and bytes of a block; none for a type that is newer than this table, or withdrawn.
    block: Option<(u64, u64)>,
}

impl TensorType {
    pub(super) fn of(number: u32) -> Self {
        match TENSOR_TYPES.iter().find(|(known, ..)| *known == number) {
            Some((_, name, elements, bytes)) => Self { name: (*name).to_owned(), block: Some((*elements, *bytes)) },
            None => Self { name: format!("type-{number}"), block: None },
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.block.is_some()
    }

    /// The bytes of a tensor whose rows have `row` elements: rows are whole blocks. None where that cannot be.
    pub(super) fn bytes(&self, elements: u64, row: u64) -> Option<u64> {
        let (block, bytes) = self.block?;
        if !row.is_multiple_of(block) {
            return None;
        }
        (elements / block).checked_mul(bytes)
    }
}

/// The name of a file type.
pub(super) fn file_type(number: u64) -> String {
    let known = FILE_TYPES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("type {number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_whole_blocks() {
        let q4 = TensorType::of(12);
        assert_eq!(q4.bytes(512, 256), Some(288));
        assert_eq!(q4.bytes(512, 128), None);
        assert_eq!(TensorType::of(28).bytes(u64::MAX, u64::MAX), None);
        assert_eq!(TensorType::of(4), TensorType { name: "type-4".to_owned(), block: None });
    }

    #[test]
    fn the_tables_are_sorted_and_so_without_doubles() {
        assert!(TENSOR_TYPES.is_sorted_by(|a, b| a.0 < b.0) && FILE_TYPES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
