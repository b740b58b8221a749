use std::io::Cursor;

use proptest::prelude::*;

use super::super::writer::{Message, attribute, external_at, model, node, sparse, tensor, value, value_of};
use super::*;
use crate::model::Dimension;

fn read(model: &Message) -> Result<OnnxModel, OnnxError> {
    OnnxModel::read(Cursor::new(&model.0))
}

fn graph() -> Message {
    Message::new()
}

fn sample(path: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/models").join(path)).unwrap()
}

#[test]
fn a_model_says_where_it_comes_from() {
    let model = model(&graph().text(2, "main"))
        .text(3, "1.2")
        .text(4, "org.example")
        .number(5, 7)
        .text(6, "what it does")
        .message(8, &Message::new().text(1, "ai.onnx.ml").number(2, 3))
        .message(14, &Message::new().text(1, "author").text(2, "Ada"));
    let model = read(&model).unwrap();
    assert_eq!((model.producer.as_str(), model.producer_version.as_str(), model.domain.as_str()), ("writer", "1.2", "org.example"));
    assert_eq!((model.ir_version, model.model_version, model.graph.as_str()), (8, 7, "main"));
    assert_eq!(model.description, "what it does");
    assert_eq!(model.opsets, [(String::new(), 17), ("ai.onnx.ml".to_owned(), 3)]);
    assert_eq!(model.metadata, [("author".to_owned(), "Ada".to_owned())]);
}

#[test]
fn external_data_are_found_wherever_a_tensor_can_hide() {
    let at = |place| external_at("t", place);
    let nested = node("If", &[attribute("then_branch", 6, &graph().message(5, &at("deep")))]);
    let cases: Vec<(&str, Message)> = vec![
        ("initializer", model(&graph().message(5, &at("w")))),
        ("sparse values", model(&graph().message(15, &sparse(&at("w"), &tensor("i", &[1]))))),
        ("sparse indices", model(&graph().message(15, &sparse(&tensor("v", &[1]), &at("w"))))),
        ("constant", model(&graph().message(1, &node("Constant", &[attribute("value", 5, &at("w"))])))),
        ("list of tensors", model(&graph().message(1, &node("X", &[attribute("values", 10, &at("w"))])))),
        ("sparse constant", model(&graph().message(1, &node("X", &[attribute("v", 22, &sparse(&at("w"), &tensor("i", &[1])))])))),
        ("sparse list", model(&graph().message(1, &node("X", &[attribute("v", 23, &sparse(&tensor("v", &[1]), &at("w")))])))),
        ("subgraph", model(&graph().message(1, &node("If", &[attribute("then_branch", 6, &graph().message(5, &at("w")))])))),
        ("list of graphs", model(&graph().message(1, &node("X", &[attribute("bodies", 11, &graph().message(5, &at("w")))])))),
        ("graph in a graph", model(&graph().message(1, &node("Loop", &[attribute("body", 6, &graph().message(1, &nested))])))),
        ("function", model(&graph()).message(25, &Message::new().message(7, &node("C", &[attribute("value", 5, &at("w"))])))),
        ("function's default", model(&graph()).message(25, &Message::new().message(11, &attribute("a", 5, &at("w"))))),
        ("training", model(&graph()).message(20, &Message::new().message(1, &graph().message(5, &at("w"))))),
        ("training algorithm", model(&graph()).message(20, &Message::new().message(2, &graph().message(5, &at("w"))))),
        ("second graph field", model(&graph()).message(7, &graph().message(5, &at("w")))),
    ];
    for (place, bytes) in cases {
        let model = read(&bytes).unwrap();
        let found: Vec<_> = model.external.into_iter().map(|(path, file)| (path, file.tensors, file.end)).collect();
        let path = if place == "graph in a graph" { "deep" } else { "w" };
        assert_eq!(found, [(path.to_owned(), 1, 8)], "{place}");
    }
}

#[test]
fn data_inside_the_model_are_not_external_whatever_the_entries_say() {
    let inline = tensor("t", &[2]).message(13, &Message::new().text(1, "location").text(2, "/etc/passwd"));
    assert!(read(&model(&graph().message(5, &inline))).unwrap().external.is_empty());
}

#[test]
fn a_hostile_location_is_refused_with_the_tensors_name() {
    let error = read(&model(&graph().message(5, &external_at("conv.weight", "../../etc/passwd")))).unwrap_err();
    assert_eq!(error.to_string(), "tensor \"conv.weight\": its external data \"../../etc/passwd\" leads out of the model's folder");
}

#[test]
fn weights_are_no_inputs() {
    let graph = graph()
        .message(11, &value("X", &[3, 2]))
        .message(11, &value("W", &[2, 2]))
        .message(11, &value("S", &[2]))
        .message(5, &tensor("W", &[2, 2]))
        .message(15, &sparse(&tensor("S", &[2]), &tensor("", &[1])))
        .message(12, &value("Y", &[]));
    let model = read(&model(&graph)).unwrap();
    let shown = |values: &[TensorInfo]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&model.inputs), ["X: float32[3,2]"]);
    assert_eq!(shown(&model.outputs), ["Y: float32[]"]);
}

#[test]
fn every_type_is_written_as_people_write_it() {
    let dim = |field, value: &Message| Message::new().message(field, value);
    let open =
        Message::new().message(1, &Message::new().text(2, "N")).message(1, &Message::new()).message(1, &Message::new().number(1, -1));
    let float = Message::new().message(1, &Message::new().number(1, 1).message(2, &open));
    let string = Message::new().message(1, &Message::new().number(1, 8));
    let map = Message::new().message(5, &Message::new().number(1, 7).message(2, &string));
    for (kind, expected) in [
        (float.clone(), "X: float32[N,?,?]"),
        (string, "X: string"),
        (dim(4, &dim(1, &map)), "X: sequence(map(int64,string))"),
        (dim(9, &dim(1, &float)), "X: optional(float32[N,?,?])"),
        (dim(8, &Message::new().number(1, 10)), "X: sparse(float16)"),
        (dim(7, &Message::new()), "X: opaque"),
        (dim(1, &Message::new().number(1, 99)), "X: unknown"),
        (Message::new(), "X: unknown"),
    ] {
        let model = read(&model(&graph().message(11, &value_of("X", &kind)))).unwrap();
        assert_eq!(model.inputs[0].to_string(), expected);
    }
    assert_eq!(
        read(&model(&graph().message(11, &value_of("X", &float)))).unwrap().inputs[0].shape.as_ref().unwrap()[1],
        Dimension::Unknown
    );
}

#[test]
fn operators_and_elements_are_counted_in_all_graphs_but_training() {
    let constant = node("Constant", &[attribute("value", 5, &tensor("c", &[5]))]);
    let branch = node("If", &[attribute("then_branch", 6, &graph().message(1, &constant).message(5, &tensor("v", &[2, 3])))]);
    let custom = node("Fast", &[]).text(7, "com.example");
    let graph = graph().message(1, &branch).message(1, &custom).message(5, &tensor("w", &[10]).number(2, 7));
    let training = Message::new().message(1, &graph.clone());
    let model = read(&model(&graph).message(20, &training)).unwrap();
    assert_eq!(model.tally.nodes, 3);
    assert_eq!(model.tally.domains, BTreeSet::from(["ai.onnx".to_owned(), "com.example".to_owned()]));
    assert_eq!(model.tally.elements, BTreeMap::from([("float32", 11), ("int64", 10)]));
}

#[test]
fn what_is_no_model_is_refused() {
    for (bytes, expected) in [
        (Message::new(), "it has no graph, so it is no ONNX model"),
        (Message::new().number(1, 8), "it has no graph, so it is no ONNX model"),
        (Message::new().message(7, &graph()), "it has no IR version, so it is no ONNX model"),
        (model(&graph().message(5, &tensor("w", &[-1]))), "tensor \"w\" has an impossible shape"),
        (model(&graph().message(5, &tensor("w", &[1 << 40, 1 << 40]))), "tensor \"w\" has an impossible shape"),
        (Message::new().number(7, 1), "byte 0: field 7 is not a message"),
        (Message::new().text(1, "8"), "byte 0: field 1 is not a number"),
        (Message::new().number(2, 1), "byte 0: field 2 is not a text"),
    ] {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn graphs_within_graphs_end() {
    let mut inner = graph();
    for _ in 0..40 {
        inner = graph().message(1, &node("Loop", &[attribute("body", 6, &inner)]));
    }
    assert!(read(&model(&inner)).unwrap_err().to_string().ends_with("messages are nested more than 64 deep"));
}

#[test]
fn lists_are_bounded() {
    let many = |field, entry: &Message, count| (0..count).fold(model(&graph()), |model, _| model.message(field, entry));
    let error = read(&many(8, &Message::new().number(2, 1), MAX_LIST + 1)).unwrap_err().to_string();
    assert!(error.ends_with("more than 64 operator sets"), "{error}");
    assert_eq!(read(&many(14, &Message::new().text(1, "k"), 1000)).unwrap().metadata.len(), MAX_LIST);
    let inputs = (0..=MAX_INPUTS).fold(graph(), |graph, _| graph.message(11, &Message::new()));
    assert!(read(&model(&inputs)).unwrap_err().to_string().ends_with("more than 20000 inputs"));
    let long = "x".repeat(MAX_TEXT);
    let names = (0..=MAX_KEPT / MAX_TEXT).fold(graph(), |graph, _| graph.message(12, &Message::new().text(1, &long)));
    assert!(read(&model(&names)).unwrap_err().to_string().ends_with("bytes of names"));
}

#[test]
fn a_model_cut_anywhere_is_an_error_with_its_offset() {
    let whole = sample("iris/logreg_iris.onnx");
    for length in 0..whole.len() {
        // Some cuts fall between two fields of the model itself: what is left is whole, though less.
        if let Err(error) = OnnxModel::read(Cursor::new(&whole[..length])) {
            assert!(error.to_string().starts_with("byte ") || error.to_string().starts_with("it has no"), "{error}");
        }
    }
    assert!(OnnxModel::read(Cursor::new(&whole[..whole.len() / 2])).unwrap_err().hint().unwrap().contains("incomplete"));
}

/// A sparse file: a gigabyte of weights that are never read.
#[test]
fn a_gigabyte_of_weights_is_skipped_not_read() {
    const WEIGHTS: u64 = 1 << 30;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big.onnx");
    let mut raw = Message::new().number(1, i64::try_from(WEIGHTS / 4).unwrap()).number(2, 1).text(8, "w").bytes(9, &[]).0;
    raw.pop();
    raw.extend(varint(WEIGHTS));
    let graph_size = 1 + varint(raw.len() as u64 + WEIGHTS).len() as u64 + raw.len() as u64 + WEIGHTS;
    let mut head = vec![0x08, 8, 0x3a];
    head.extend(varint(graph_size));
    head.push(0x2a);
    head.extend(varint(raw.len() as u64 + WEIGHTS));
    head.extend(raw);
    std::fs::write(&path, &head).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    file.set_len(head.len() as u64 + WEIGHTS).unwrap();

    let mut counted = Counting { file, bytes: 0 };
    let model = OnnxModel::read(&mut counted).unwrap();
    assert_eq!(model.tally.elements, BTreeMap::from([("float32", WEIGHTS / 4)]));
    assert!(counted.bytes <= 64 << 10, "{} bytes read", counted.bytes);
}

#[test]
fn a_file_above_protobufs_limit_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create_new(dir.path().join("huge.onnx")).unwrap();
    file.set_len(1 << 31).unwrap();
    let file = std::fs::File::open(dir.path().join("huge.onnx")).unwrap();
    let error = OnnxModel::read(file).unwrap_err();
    assert!(matches!(error, OnnxError::TooLarge { .. }));
    assert!(error.hint().unwrap().contains("save_as_external_data"));
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

struct Counting {
    file: std::fs::File,
    bytes: u64,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

impl Seek for Counting {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = OnnxModel::read(Cursor::new(&bytes));
    }

    #[test]
    fn no_damage_to_a_real_model_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample("iris/logreg_iris.onnx");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = OnnxModel::read(Cursor::new(&bytes));
        bytes.truncate(length.index(bytes.len()));
        let _ = OnnxModel::read(Cursor::new(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Nested graphs, hundreds of operators: damage goes deep before it is noticed.
    #[test]
    fn no_damage_to_a_deep_model_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..50)) {
        let mut bytes = sample("silero_vad/silero_vad.onnx");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = OnnxModel::read(Cursor::new(&bytes));
    }
}
