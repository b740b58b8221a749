//! PyTorch's tensors, as far as a pickle tells: how many elements of which type. Their data are elsewhere.

use std::collections::BTreeMap;

use super::imports::{Import, Imports};
use super::values::{Node, Value, Values};

/// Types that are told apart.
const MAX_TYPES: usize = 32;

/// Functions that make a tensor of a storage, offset, size and stride.
const REBUILD: &[&str] = &[
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_qtensor",
];
const REBUILD_WITH_TYPE: &[&str] = &["torch._utils._rebuild_tensor_v3"];
/// Where the last one has the element type.
const TYPE_ARGUMENT: usize = 6;

/// The element types by their storages and by their own names.
const TYPES: [(&str, &str); 23] = [
    ("DoubleStorage", "float64"),
    ("FloatStorage", "float32"),
    ("HalfStorage", "float16"),
    ("BFloat16Storage", "bfloat16"),
    ("LongStorage", "int64"),
    ("IntStorage", "int32"),
    ("ShortStorage", "int16"),
    ("CharStorage", "int8"),
    ("ByteStorage", "uint8"),
    ("BoolStorage", "bool"),
    ("ComplexDoubleStorage", "complex128"),
    ("ComplexFloatStorage", "complex64"),
    ("QInt8Storage", "qint8"),
    ("QUInt8Storage", "quint8"),
    ("QInt32Storage", "qint32"),
    ("QUInt4x2Storage", "quint4x2"),
    ("", "float8_e4m3fn"),
    ("", "float8_e4m3fnuz"),
    ("", "float8_e5m2"),
    ("", "float8_e5m2fnuz"),
    ("", "uint16"),
    ("", "uint32"),
    ("", "uint64"),
];

/// The tensors of a pickle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tensors {
    /// How many.
    pub count: u64,
    /// Elements by type; what has no known type is `?`.
    pub elements: BTreeMap<&'static str, u64>,
}

impl Tensors {
    /// All elements.
    pub fn total(&self) -> u64 {
        self.elements.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Counts what a call makes, where it makes a tensor.
    pub(super) fn count_call(&mut self, import: &Import, arguments: Value, values: &Values, imports: &Imports) {
        if !import.is_any(REBUILD) {
            return;
        }
        self.count += 1;
        let Some(arguments) = values.items_of(arguments) else { return };
        let Some(elements) = arguments.get(2).and_then(|size| elements(*size, values)) else { return };
        let named = arguments.get(TYPE_ARGUMENT).filter(|_| import.is_any(REBUILD_WITH_TYPE));
        let type_of = |value: Value| match value {
            Value::Import(index) => imports.get(index).and_then(dtype_of),
            _ => None,
        };
        let found = named.and_then(|value| type_of(*value)).or_else(|| type_of(storage_type(*arguments.first()?, values)?));
        if self.elements.len() < MAX_TYPES {
            let sum = self.elements.entry(found.unwrap_or("?")).or_default();
            *sum = sum.saturating_add(elements);
        }
    }
}

/// The product of a size.
fn elements(size: Value, values: &Values) -> Option<u64> {
    values.items_of(size)?.iter().try_fold(1_u64, |product, dimension| match dimension {
        Value::Int(dimension) => product.checked_mul(u64::try_from(*dimension).ok()?),
        _ => None,
    })
}

/// The class in `("storage", torch.FloatStorage, "0", "cpu", 288)`.
fn storage_type(storage: Value, values: &Values) -> Option<Value> {
    let Some(Node::Persistent(id)) = values.node_of(storage) else { return None };
    values.items_of(*id)?.get(1).copied()
}

/// The element type that a name of PyTorch stands for.
pub(super) fn dtype_of(import: &Import) -> Option<&'static str> {
    let of_torch = matches!(import.module.as_str(), "torch" | "torch.storage" | "torch.cuda");
    let found = TYPES.iter().find(|(storage, name)| *storage == import.name || *name == import.name);
    found.filter(|_| of_torch).map(|(_, name)| *name)
}
