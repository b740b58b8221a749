use std::fs;

use zip::CompressionMethod::Stored;

use super::super::pickle::testing::text;
use super::testing::zipped;
use crate::kserve::Runtime;
use crate::model::{Model, ModelError, ReadOptions, lay_out, read};

/// A dict with one tensor of 2×3, as `torch.save` writes a state dict.
fn state_dict() -> Vec<u8> {
    [
        b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec(),
        text("weight"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nHalfStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        b"K\x06tQK\0K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtRu.".to_vec(),
    ]
    .concat()
}

const CODE: &[u8] = b"class Net(Module):\n  def forward(self: __torch__.net.Net,\n    x: Tensor) -> Tensor:\n    return x\n";

fn torchscript(data: &[u8]) -> Vec<u8> {
    let entries: [(&str, &[u8]); 6] = [
        ("net/data.pkl", data),
        ("net/byteorder", b"little"),
        ("net/code/__torch__/net.py", CODE),
        ("net/constants.pkl", b"\x80\x02)."),
        ("net/version", b"3\n"),
        ("net/data/0", &[0; 12]),
    ];
    zipped(&entries, Stored)
}

fn model_of(name: &str, content: &[u8]) -> Result<Model, ModelError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), content).unwrap();
    read(dir.path(), &ReadOptions::default())
}

fn rules(model: &Model) -> Vec<&str> {
    model.findings.iter().map(|finding| finding.rule.id).collect()
}

#[test]
fn torchscript_says_what_it_takes_and_is_no_pickle_to_fear() {
    let data = b"\x80\x02c__torch__.net\nNet\n)\x81}b.";
    let model = model_of("net.pt", &torchscript(data)).unwrap();
    assert_eq!((model.format, model.mains.as_slice()), ("torchscript", &["net.pt".to_owned()][..]));
    for (key, value) in [
        ("object", "__torch__.net.Net"),
        ("forward", "(x: Tensor) -> Tensor"),
        ("code-files", "1"),
        ("archive-version", "3"),
        ("byte-order", "little"),
    ] {
        assert_eq!(model.facts.get(key), Some(value), "{key}");
    }
    assert_eq!(rules(&model), [""; 0]);
    let layout = lay_out(&model, None, "net").unwrap();
    assert_eq!((layout.runtime, layout.files[0].target.as_str()), (Runtime::Raw, "net.pt"), "Triton is told no inputs");
    assert!(matches!(lay_out(&model, Some(Runtime::Triton), "net"), Err(ModelError::TritonConfig { .. })));
}

#[test]
fn torchscript_with_imports_of_its_own_is_told() {
    assert_eq!(rules(&model_of("net.pt", &torchscript(b"\x80\x02cos\nsystem\n.")).unwrap()), ["dangerous-pickle", "pickle"]);
    assert_eq!(rules(&model_of("net.pt", &torchscript(b"\x80\x02cmine\nNet\n.")).unwrap()), ["pickle"]);
}

#[test]
fn saved_weights_say_how_many_of_which_type() {
    let legacy_magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let legacy = [&legacy_magic[..], b"\x80\x02M\xe9\x03.", b"\x80\x02}.", &state_dict(), b"\x80\x02].", &[0; 12]].concat();
    let zip = zipped(&[("archive/data.pkl", &state_dict()), ("archive/data/0", &[0; 12])], Stored);
    for (name, content) in [("m.pth", &zip), ("pytorch_model.bin", &zip), ("m.pt", &legacy), ("m.ckpt", &state_dict())] {
        let model = model_of(name, content).unwrap();
        assert_eq!(model.format, "pytorch", "{name}");
        assert_eq!(model.facts.get("parameters"), Some("6"), "{name}");
        assert_eq!(model.facts.get("parameter-types"), Some("float16 6"));
        assert_eq!(rules(&model), ["pickle"], "{name}");
        assert!(model.notes[0].contains("no server loads them as they are"));
        assert_eq!(lay_out(&model, None, "m").unwrap().why, "no server loads a model of format pytorch as it is");
    }
}

#[test]
fn an_archive_that_is_cut_off_is_no_model_and_a_danger() {
    let whole = zipped(&[("archive/data.pkl", &state_dict())], Stored);
    let model = model_of("m.pt", &whole[..whole.len() - 30]).unwrap();
    assert_eq!((model.format, rules(&model)), (crate::model::UNKNOWN_FORMAT, vec!["dangerous-pickle"]));
}

#[test]
fn old_weights_that_are_cut_off_are_an_error() {
    let start = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02";
    assert!(matches!(model_of("m.pt", start), Err(ModelError::Unreadable { format: "PyTorch", .. })));
}
