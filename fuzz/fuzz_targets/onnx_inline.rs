//! Whatever ONNX file can be read: with its external data taken in it can be read again, says the same, and has none outside.
//!
//! `cargo +nightly fuzz run onnx_inline fuzz/corpus/onnx -- -max_len=65536 -timeout=1 -malloc_limit_mb=64`
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use modelcar::model::formats::onnx::OnnxModel;
use modelcar::model::formats::onnx::inline::{Outcome, Part, plan};

/// More data than this is not written out: they are zeros anyway.
const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Ok(before) = OnnxModel::read(Cursor::new(bytes)) else { return };
    let outcome = plan(Cursor::new(bytes), &before).expect("what was read can be read again");
    let Outcome::Inlined(plan) = outcome else { return };
    if plan.size > LIMIT {
        return;
    }
    let mut inlined = Vec::new();
    for part in plan.parts {
        match part {
            Part::Bytes(bytes) => inlined.extend(bytes),
            Part::Model(range) => inlined.extend(&bytes[range.start as usize..range.end as usize]),
            Part::Data { file, length, .. } => {
                assert!(file < before.external.len());
                inlined.resize(inlined.len() + length as usize, 0);
            }
        }
    }
    assert_eq!(inlined.len() as u64, plan.size);
    let after = OnnxModel::read(Cursor::new(&inlined)).expect("the result is a model");
    assert!(after.external.is_empty());
    assert_eq!(format!("{:?}{:?}{:?}", before.tally, before.inputs, before.outputs), format!("{:?}{:?}{:?}", after.tally, after.inputs, after.outputs));
    if before.external.is_empty() {
        assert_eq!(inlined, bytes);
    }
});
