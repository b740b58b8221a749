use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use proptest::prelude::*;

use super::super::writer::{Message, attribute, external, external_at, model, node, sparse, tensor};
use super::*;
use crate::model::lint::rules::EXTERNAL_DATA;
use crate::model::{Model, ModelError, ReadOptions, read};

fn write(dir: &Path, path: &str, content: &[u8]) {
    fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
    fs::write(dir.join(path), content).unwrap();
}

fn read_with(path: &Path, onnx_external: OnnxExternal) -> Result<Model, ModelError> {
    read(path, &ReadOptions { onnx_external, ..ReadOptions::default() })
}

fn paths(model: &Model) -> Vec<&str> {
    model.files.iter().map(|file| file.path.as_str()).collect()
}

/// The bytes of a file as they go into the image.
fn packed(model: &Model, path: &str) -> Vec<u8> {
    let file = model.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"));
    let mut bytes = Vec::new();
    file.open().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, file.size);
    bytes
}

fn outcome(bytes: &[u8]) -> Outcome {
    let model = OnnxModel::read(Cursor::new(bytes)).unwrap();
    plan(Cursor::new(bytes), &model).unwrap()
}

fn with_graph(tensors: &[Message]) -> Message {
    model(&tensors.iter().fold(Message::new(), |graph, tensor| graph.message(5, tensor)))
}

/// The model with these tensors, and the same with raw data in them.
mod generated {
    use super::*;

    /// The content of `w.data` and `sub/v.data`; every range of them is another.
    pub(super) fn data(file: usize) -> Vec<u8> {
        (0..60_000_u32).flat_map(|n| (n * 2 + u32::try_from(file).unwrap()).to_le_bytes()).collect()
    }

    pub(super) const FILES: [&str; 2] = ["w.data", "sub/v.data"];

    #[derive(Clone, Debug)]
    pub(super) enum Tensor {
        Inside(u16),
        Outside { elements: u16, file: usize, offset: u16, says_length: bool, location_first: bool, empty_raw: bool, unknown: bool },
    }

    #[derive(Clone, Debug)]
    pub(super) enum Holder {
        Initializer(Tensor),
        Sparse(Tensor, Tensor),
        Constant(Tensor),
        Tensors(Vec<Tensor>),
        SparseConstant(Tensor, Tensor),
        Branches(Vec<Vec<Holder>>),
        Unknown(Vec<u8>),
    }

    fn a_tensor() -> impl Strategy<Value = Tensor> {
        let outside = (0..5000_u16, 0..2_usize, any::<u16>(), any::<[bool; 4]>()).prop_map(|(elements, file, offset, flags)| {
            let [says_length, location_first, empty_raw, unknown] = flags;
            Tensor::Outside { elements, file, offset, says_length, location_first, empty_raw, unknown }
        });
        prop_oneof![1 => (0..40_u16).prop_map(Tensor::Inside), 3 => outside]
    }

    pub(super) fn graph() -> impl Strategy<Value = Vec<Holder>> {
        let leaf = prop_oneof![
            a_tensor().prop_map(Holder::Initializer),
            (a_tensor(), a_tensor()).prop_map(|(values, indices)| Holder::Sparse(values, indices)),
            a_tensor().prop_map(Holder::Constant),
            prop::collection::vec(a_tensor(), 0..4).prop_map(Holder::Tensors),
            (a_tensor(), a_tensor()).prop_map(|(values, indices)| Holder::SparseConstant(values, indices)),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Holder::Unknown),
        ];
        let holder = leaf
            .prop_recursive(4, 24, 3, |inner| prop::collection::vec(prop::collection::vec(inner, 0..3), 1..3).prop_map(Holder::Branches));
        prop::collection::vec(holder, 0..5)
    }

    /// Whether data are written as pointers or as raw data.
    pub(super) type Render = fn(&Tensor) -> Message;

    pub(super) fn as_pointer(of: &Tensor) -> Message {
        let Tensor::Outside { elements, file, offset, says_length, location_first, empty_raw, .. } = of else { return inside(of) };
        let entry = |message: Message, key: &str, value: &str| message.message(13, &Message::new().text(1, key).text(2, value));
        let mut message = head(*elements);
        if *location_first {
            message = message.number(14, 1);
        }
        if *empty_raw {
            message = message.bytes(9, &[]);
        }
        message = entry(entry(message, "location", FILES[*file]), "offset", &offset.to_string());
        if *says_length {
            message = entry(message, "length", &(u64::from(*elements) * 4).to_string());
        }
        tail(of, if *location_first { message } else { message.number(14, 1) })
    }

    pub(super) fn as_raw_data(of: &Tensor) -> Message {
        let Tensor::Outside { elements, file, offset, .. } = of else { return inside(of) };
        let begin = usize::from(*offset);
        tail(of, head(*elements).bytes(9, &data(*file)[begin..begin + usize::from(*elements) * 4]))
    }

    fn inside(of: &Tensor) -> Message {
        let Tensor::Inside(elements) = of else { return Message::new() };
        head(*elements).bytes(9, &vec![7; usize::from(*elements) * 4])
    }

    fn head(elements: u16) -> Message {
        tensor("t", &[i64::from(elements)])
    }

    fn tail(of: &Tensor, message: Message) -> Message {
        if matches!(of, Tensor::Outside { unknown: true, .. }) { message.text(12, "a doc").number(99, 5) } else { message }
    }

    pub(super) fn render(graph: &[Holder], tensor: Render) -> Message {
        graph.iter().fold(Message::new().text(2, "g"), |message, holder| match holder {
            Holder::Initializer(one) => message.message(5, &tensor(one)),
            Holder::Sparse(values, indices) => message.message(15, &sparse(&tensor(values), &tensor(indices))),
            Holder::Constant(one) => message.message(1, &node("Constant", &[attribute("value", 5, &tensor(one))])),
            Holder::Tensors(all) => {
                let list = all.iter().fold(Message::new().text(1, "values"), |list, one| list.message(10, &tensor(one)));
                message.message(1, &node("X", &[list]))
            }
            Holder::SparseConstant(values, indices) => {
                message.message(1, &node("X", &[attribute("v", 22, &sparse(&tensor(values), &tensor(indices)))]))
            }
            Holder::Branches(graphs) => {
                let branches: Vec<_> = graphs.iter().map(|graph| attribute("branch", 6, &render(graph, tensor))).collect();
                message.message(1, &node("If", &branches))
            }
            Holder::Unknown(bytes) => message.bytes(77, bytes),
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The oracle is the writer: it writes the model once with pointers and once with raw data in their place.
    #[test]
    fn an_inlined_model_is_what_a_writer_without_external_data_writes(graph in generated::graph()) {
        let function = |form| Message::new().text(1, "f").message(7, &node("C", &[attribute("v", 6, &generated::render(&graph[..graph.len().min(1)], form))]));
        let written = |form: generated::Render| model(&generated::render(&graph, form)).message(25, &function(form)).0;
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "net.onnx", &written(generated::as_pointer));
        for (index, file) in generated::FILES.iter().enumerate() {
            write(dir.path(), file, &generated::data(index));
        }
        let found = read_with(&dir.path().join("net.onnx"), OnnxExternal::Inline).unwrap();
        prop_assert_eq!(paths(&found), ["net.onnx"]);
        let bytes = packed(&found, "net.onnx");
        prop_assert!(OnnxModel::read(Cursor::new(&bytes)).unwrap().external.is_empty());
        prop_assert!(bytes == written(generated::as_raw_data), "other bytes than expected");
    }
}

#[test]
fn lengths_that_were_written_wastefully_are_understood() {
    // The graph's length in five bytes instead of one, as writers do that reserve room for it.
    let graph = Message::new().message(5, &external_at("w", "w.data")).0;
    let mut bytes = vec![0x08, 8, 0x3a, u8::try_from(graph.len()).unwrap() | 0x80, 0x80, 0x80, 0x80, 0];
    bytes.extend(&graph);
    let Outcome::Inlined(plan) = outcome(&bytes) else { panic!("kept") };
    let expected = Message::new().number(1, 8).message(7, &Message::new().message(5, &tensor("w", &[2]).bytes(9, &[0; 8]))).0;
    assert_eq!(with_zeros(plan, &bytes), expected);
}

#[test]
fn packed_and_unknown_types_are_taken_as_they_lie() {
    for (data_type, elements, length, expected) in [
        (22, 3, None, Some(2)),      // int4
        (25, 5, None, Some(2)),      // uint2
        (23, 4, None, Some(2)),      // float4e2m1
        (16, 3, None, Some(6)),      // bfloat16
        (17, 3, Some("3"), Some(3)), // float8
        (27, 4, Some("3"), Some(3)), // float6, not fixed
        (99, 4, Some("9"), Some(9)), // newer than we are
        (1, 0, None, Some(0)),       // no element
        (99, 4, None, None),
    ] {
        let entries = [("location", "w.data")].into_iter().chain(length.map(|length| ("length", length))).collect::<Vec<_>>();
        let found = outcome(&with_graph(&[external("w", &[elements], &entries).number(2, data_type)]).0);
        match expected {
            Some(expected) => assert!(matches!(&found, Outcome::Inlined(plan) if plan.data_bytes == expected), "{data_type}: {found:?}"),
            None => assert!(matches!(found, Outcome::Kept(Obstacle::NoLength { .. })), "{data_type}"),
        }
    }
}

#[test]
fn what_has_no_raw_form_stays_outside_and_says_why() {
    let text = external("names", &[2], &[("location", "w.data"), ("length", "8")]).number(2, 8);
    let both = external_at("both", "w.data");
    for (tensor, why) in [
        (text, "tensor \"names\" holds texts, which ONNX cannot store as raw data"),
        (both.clone().bytes(9, b"12345678"), "tensor \"both\" has data in the model and outside of it"),
        (both.clone().bytes(4, &[0; 8]), "tensor \"both\" has data in the model and outside of it"),
        (both.number(7, 5), "tensor \"both\" has data in the model and outside of it"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "net.onnx", &with_graph(&[external_at("w", "w.data"), tensor]).0);
        write(dir.path(), "w.data", b"12345678");
        let before = fs::read(dir.path().join("net.onnx")).unwrap();
        let kept = read_with(dir.path(), OnnxExternal::Auto).unwrap();
        assert_eq!(packed(&kept, "net.onnx"), before);
        assert_eq!(paths(&kept), ["net.onnx", "w.data"]);
        assert_eq!((kept.findings[0].rule.id, kept.findings[0].path.as_deref()), (EXTERNAL_DATA.id, Some("net.onnx")));
        assert!(kept.findings[0].what.ends_with(why), "{}", kept.findings[0].what);
        let Err(ModelError::NotInlined { source, .. }) = read_with(dir.path(), OnnxExternal::Inline) else { panic!("not refused") };
        assert_eq!(source.to_string(), why);
    }
}

/// The bytes of a plan, with zeros for data.
fn with_zeros(plan: Plan, model: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in plan.parts {
        match part {
            Part::Bytes(part) => bytes.extend(part),
            Part::Model(range) => bytes.extend(&model[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]),
            Part::Data { length, .. } => bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 0),
        }
    }
    bytes
}

proptest! {
    /// As the fuzz target of this name does, on damaged copies of a model with data outside wherever a tensor can hide.
    #[test]
    fn whatever_can_be_read_can_be_inlined_and_read_again(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = include_bytes!("../../../../../fuzz/corpus/onnx/external_everywhere.onnx").to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(before) = OnnxModel::read(Cursor::new(&bytes)) else { return Ok(()) };
        let Outcome::Inlined(plan) = plan(Cursor::new(&bytes), &before).unwrap() else { return Ok(()) };
        if plan.size > 1 << 20 {
            return Ok(());
        }
        let size = plan.size;
        let inlined = with_zeros(plan, &bytes);
        prop_assert_eq!(inlined.len() as u64, size);
        let after = OnnxModel::read(Cursor::new(&inlined)).unwrap();
        prop_assert!(after.external.is_empty());
        prop_assert_eq!((after.tally, after.inputs, after.outputs), (before.tally, before.inputs, before.outputs));
    }
}

/// Data of exactly so many bytes in a hole: nothing is read.
fn plan_with_data(bytes: u64) -> Outcome {
    let length = bytes.to_string();
    outcome(&with_graph(&[external("w", &[i64::try_from(bytes).unwrap()], &[("location", "w.data"), ("length", &length)]).number(2, 2)]).0)
}

#[test]
fn the_limit_is_protobufs_to_the_byte() {
    const LIMIT: u64 = (1 << 31) - 1;
    let Outcome::Inlined(plan) = plan_with_data(LIMIT - 1000) else { panic!("kept") };
    let room = LIMIT - plan.size;
    let Outcome::Inlined(plan) = plan_with_data(LIMIT - 1000 + room) else { panic!("kept") };
    assert_eq!(plan.size, LIMIT);
    assert!(plan.parts.len() <= 8, "{:?}", plan.parts);
    for beyond in [LIMIT - 999 + room, LIMIT, 1 << 40, 1 << 62] {
        assert!(matches!(plan_with_data(beyond), Outcome::Kept(Obstacle::TooLarge { .. })), "{beyond}");
    }
    let Outcome::Kept(why) = plan_with_data(3 << 30) else { panic!("inlined") };
    assert_eq!(why.to_string(), "with them inside it would have 3.0 GiB, and no server loads an ONNX file of 2 GiB or more");
}

#[test]
fn more_tensors_than_any_real_model_has_stay_outside() {
    let tensor = external_at("w", "w.data");
    let many = vec![tensor; super::outside::MAX_TENSORS + 1];
    assert!(matches!(outcome(&with_graph(&many[1..]).0), Outcome::Inlined(_)));
    assert!(matches!(outcome(&with_graph(&many).0), Outcome::Kept(Obstacle::TooMany { .. })));
    let entries = (0..200_000).fold(external_at("w", "w.data"), |tensor, n| tensor.message(13, &Message::new().text(1, "x")).number(50, n));
    assert!(matches!(outcome(&with_graph(&[entries]).0), Outcome::Kept(Obstacle::TooMany { .. })));
}

#[test]
fn a_data_file_goes_when_nobody_needs_it_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let inlinable = with_graph(&[external_at("w", "shared.data"), external_at("v", "own.data")]).0;
    write(dir.path(), "a.onnx", &inlinable);
    write(dir.path(), "b.onnx", &with_graph(&[external_at("w", "shared.data")]).0);
    for file in ["shared.data", "own.data", "notes.data"] {
        write(dir.path(), file, b"12345678");
    }
    let both = read_with(dir.path(), OnnxExternal::Auto).unwrap();
    assert_eq!(paths(&both), ["a.onnx", "b.onnx", "notes.data"]);
    assert!(both.findings.is_empty());
    for model in ["a.onnx", "b.onnx"] {
        assert!(packed(&both, model).windows(8).any(|bytes| bytes == b"12345678"), "each has its own copy");
    }
    write(dir.path(), "b.onnx", &with_graph(&[external_at("w", "shared.data").number(7, 1)]).0);
    let one = read_with(dir.path(), OnnxExternal::Auto).unwrap();
    assert_eq!(paths(&one), ["a.onnx", "b.onnx", "notes.data", "shared.data"]);
    assert_eq!(one.findings.len(), 1);
    let none = read_with(dir.path(), OnnxExternal::Keep).unwrap();
    assert_eq!((paths(&none).len(), none.findings.len()), (5, 2));
}

#[test]
fn a_model_that_is_another_ones_data_stays() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.onnx", &with_graph(&[external_at("w", "b.onnx")]).0);
    write(dir.path(), "b.onnx", &with_graph(&[tensor("t", &[0])]).0);
    assert_eq!(paths(&read_with(dir.path(), OnnxExternal::Auto).unwrap()), ["a.onnx", "b.onnx"]);
}

#[test]
fn people_are_told_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.onnx", &with_graph(&[external_at("w", "w.data"), external_at("v", "w.data")]).0);
    write(dir.path(), "w.data", b"12345678");
    let auto = read_with(dir.path(), OnnxExternal::Auto).unwrap();
    assert!(auto.notes[0].starts_with("inlined 2 external tensors (16 bytes) of net.onnx: onnxruntime from 1.24"), "{:?}", auto.notes);
    assert_eq!(auto.facts.get("external-data"), Some("w.data (inlined in the image)"));
    let kept = read_with(dir.path(), OnnxExternal::Keep).unwrap();
    assert_eq!(kept.findings[0].what, "external data stay in w.data: as asked for");
    assert_eq!(kept.facts.get("external-data"), Some("w.data"));
}

#[test]
fn a_data_file_that_changes_after_reading_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.onnx", &with_graph(&[external_at("w", "w.data")]).0);
    write(dir.path(), "w.data", b"12345678");
    let model = read_with(dir.path(), OnnxExternal::Auto).unwrap();
    write(dir.path(), "w.data", b"changed!!");
    let error = model.files[0].open().unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().ends_with("w.data changed while it was being packed: it had 8 bytes, now 9"), "{error}");
}

#[test]
fn an_executable_model_stays_executable() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.onnx", &with_graph(&[external_at("w", "w.data")]).0);
    write(dir.path(), "w.data", b"12345678");
    fs::set_permissions(dir.path().join("net.onnx"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(read_with(dir.path(), OnnxExternal::Auto).unwrap().files[0].executable);
}

#[test]
fn sizes_are_told_as_people_think_of_models() {
    for (bytes, text) in [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (u64::MAX, "17179869183.9 GiB")] {
        assert_eq!(size_text(bytes), text);
    }
}
