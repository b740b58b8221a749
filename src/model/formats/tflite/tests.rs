use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::*;
use crate::model::{ReadOptions, lay_out, read};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/models/tflite_linear");

fn sample() -> Vec<u8> {
    fs::read(Path::new(SAMPLE).join("linear.tflite")).unwrap()
}

/// A file of one table: the offsets of its fields, and the bytes that follow its own offset.
fn one_table(fields: &[u16], body: &[u8]) -> Vec<u8> {
    let vtable_size = u16::try_from(4 + 2 * fields.len()).unwrap();
    let table = 8 + u32::from(vtable_size);
    let mut bytes = [&table.to_le_bytes()[..], b"TFL3", &vtable_size.to_le_bytes(), &[0, 0]].concat();
    bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    bytes.extend(i32::from(vtable_size).to_le_bytes());
    bytes.extend(body);
    bytes
}

fn error(bytes: &[u8]) -> String {
    TfliteModel::read(Cursor::new(bytes)).unwrap_err().to_string()
}

#[test]
fn a_real_model_says_what_it_takes_and_gives() {
    let model = read(Path::new(SAMPLE), &ReadOptions::default()).unwrap();
    assert_eq!((model.format, &model.mains[..]), ("tflite", &["linear.tflite".to_owned()][..]));
    for (key, expected) in [("schema-version", "3"), ("signatures", "serving_default"), ("nodes", "2"), ("description", "MLIR Converted.")]
    {
        assert_eq!(model.facts.get(key), Some(expected), "{key}");
    }
    assert_eq!(model.facts.get("operator-kinds"), Some("ARG_MAX, FULLY_CONNECTED"));
    assert_eq!(model.facts.get("quantisation"), None);
    assert_eq!(model.facts.inputs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["serving_default_features:0: float32[?,3]"]);
    let layout = lay_out(&model, None, "net").unwrap();
    assert_eq!((layout.runtime, layout.files[0].target.as_str()), (Runtime::Ovms, "1/linear.tflite"));
}

#[test]
fn hostile_buffers_are_refused() {
    let huge = u32::MAX.to_le_bytes();
    let far = [&4u32.to_le_bytes()[..], &huge].concat();
    for (bytes, expected) in [
        (b"".to_vec(), "byte 0: 4 bytes are announced, 0 are left"),
        (b"\x08\0\0\0TFL2\0\0\0\0".to_vec(), "byte 4: the file identifier is not `TFL3`"),
        (b"\xff\xff\xff\xffTFL3\0\0\0\0".to_vec(), "byte 8: 4294967287 bytes are announced, 4 are left"),
        // a table that is its own description, and one whose description lies before the file
        (b"\x08\0\0\0TFL3\0\0\0\0".to_vec(), "byte 8: a table has an impossible description"),
        (b"\x08\0\0\0TFL3\xff\0\0\0".to_vec(), "byte 8: a table has an impossible description"),
        (b"\x08\0\0\0TFL3\0\0\0\x80".to_vec(), "byte 12: 2147483644 bytes are announced, 0 are left"),
        (one_table(&[], &[]), "it has no graph in it, so it is no model"),
        (one_table(&[0, 0, 0xffff], &[0; 8]), "byte 18: 65535 bytes are announced, 12 are left"),
        (one_table(&[0, 0, 4], &huge), "byte 26: 4294967291 bytes are announced, 0 are left"),
        // lists and texts that are longer than the file
        (one_table(&[0, 0, 4], &far), "byte 30: 17179869180 bytes are announced, 0 are left"),
        (one_table(&[0, 0, 0, 4], &far), "byte 32: 4294967295 bytes are announced, 0 are left"),
        (
            one_table(&[0, 4], &[&4u32.to_le_bytes()[..], &6000u32.to_le_bytes(), &vec![0; 24_000]].concat()),
            "byte 28: more than 5000 kinds of operators",
        ),
    ] {
        assert_eq!(error(&bytes), expected, "{:?}", &bytes[..bytes.len().min(40)]);
    }
}

#[test]
fn offsets_that_lead_in_circles_lead_nowhere() {
    // A list of 1000 graphs, each of which is the root itself.
    let mut body = [4u32.to_le_bytes(), 1000u32.to_le_bytes()].concat();
    body.extend([0; 4000]);
    let mut bytes = one_table(&[0, 0, 4], &body);
    let (list, table) = (bytes.len() - 4000, 18u32);
    for index in 0..1000usize {
        let at = list + 4 * index;
        // Offsets lead forward only: the nearest to a circle is one that wraps around.
        bytes[at..at + 4].copy_from_slice(&table.wrapping_sub(u32::try_from(at).unwrap()).to_le_bytes());
    }
    assert!(error(&bytes).ends_with("are left"), "{}", error(&bytes));
}

#[test]
fn an_input_that_is_no_tensor_is_refused() {
    let sample = sample();
    let damaged: Vec<_> = (0..sample.len() - 4)
        .filter_map(|at| {
            let mut bytes = sample.clone();
            bytes[at..at + 4].copy_from_slice(&(-7i32).to_le_bytes());
            TfliteModel::read(Cursor::new(bytes)).err().map(|error| error.to_string())
        })
        .collect();
    assert!(damaged.iter().any(|error| error == "tensor -7 does not exist"), "{damaged:?}");
}

#[test]
fn a_model_cut_anywhere_never_panics() {
    let sample = sample();
    for end in 0..sample.len() {
        let _ = TfliteModel::read(Cursor::new(&sample[..end]));
    }
    assert!(TfliteModel::read(Cursor::new(&sample[..sample.len() / 2])).is_err());
}

#[test]
fn every_operator_has_its_own_name() {
    let names: std::collections::BTreeSet<_> = operators::BUILTIN.iter().collect();
    assert_eq!((names.len(), operators::BUILTIN[9], operators::BUILTIN[32]), (operators::BUILTIN.len(), "FULLY_CONNECTED", "CUSTOM"));
}
