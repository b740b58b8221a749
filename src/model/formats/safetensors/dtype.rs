//! Element types: <https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs>.

/// Its name in a header, our name for people, and its width in bits.
const DTYPES: [(&str, &str, u64); 22] = [
    ("BF16", "bfloat16", 16),
    ("BOOL", "bool", 8),
    ("C64", "complex64", 64),
    ("F16", "float16", 16),
    ("F32", "float32", 32),
    ("F4", "float4", 4),
    ("F64", "float64", 64),
    ("F6_E2M3", "float6_e2m3", 6),
    ("F6_E3M2", "float6_e3m2", 6),
    ("F8_E4M3", "float8_e4m3", 8),
    ("F8_E4M3FNUZ", "float8_e4m3fnuz", 8),
    ("F8_E5M2", "float8_e5m2", 8),
    ("F8_E5M2FNUZ", "float8_e5m2fnuz", 8),
    ("F8_E8M0", "float8_e8m0", 8),
    ("I16", "int16", 16),
    ("I32", "int32", 32),
    ("I64", "int64", 64),
    ("I8", "int8", 8),
    ("U16", "uint16", 16),
    ("U32", "uint32", 32),
    ("U64", "uint64", 64),
    ("U8", "uint8", 8),
];

/// The longest name of a type that is not known yet.
const MAX_NAME: usize = 32;

/// What a tensor's elements are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dtype {
    pub(super) name: String,
    /// None for a type that is newer than this table.
    bits: Option<u64>,
}

impl Dtype {
    /// The type of this name; none for what can be no name.
    pub(super) fn named(name: &str) -> Option<Self> {
        if let Some((_, known, bits)) = DTYPES.iter().find(|(known, _, _)| *known == name) {
            return Some(Self { name: (*known).to_owned(), bits: Some(*bits) });
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain);
        is_name.then(|| Self { name: name.to_lowercase(), bits: None })
    }

    /// Whether this many elements can take this many bytes.
    pub(super) fn fits(&self, elements: u64, bytes: u64) -> bool {
        let Some(bits) = self.bits else { return true };
        u128::from(elements) * u128::from(bits) == u128::from(bytes) * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_fill_their_bytes_exactly() {
        for (name, elements, bytes, expected) in [
            ("F32", 3, 12, true),
            ("F32", 3, 13, false),
            ("F4", 3, 1, false),
            ("F4", 4, 2, true),
            ("F6_E2M3", 4, 3, true),
            ("C64", u64::MAX, 8, false),
            ("F2_NEW", 5, 3, true),
        ] {
            assert_eq!(Dtype::named(name).unwrap().fits(elements, bytes), expected, "{elements} × {name} in {bytes}");
        }
    }

    #[test]
    fn what_is_no_name_is_no_type() {
        for name in ["", "F 32", "\u{1b}[2J", &"F".repeat(33)] {
            assert_eq!(Dtype::named(name), None, "{name:?}");
        }
    }
}
