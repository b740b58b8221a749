"""Makes ONNX models whose tensors are all in data files, and compares what became of them.

Usage: external_models.py make FOLDER           one folder per model; prints their names
       external_models.py compare SOURCE TARGET  SOURCE has external data, TARGET the same data inside; checks every byte

Written against the protobuf classes only: tensors are found by reflection, wherever they hide.
"""

import glob
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
ROWS = np.random.default_rng(1).random((8, 8), dtype=np.float32)


def tensors_in(message):
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if field.is_repeated else [value]:
            if isinstance(item, TensorProto):
                yield item
            else:
                yield from tensors_in(item)


def externalize(model, folder, files, begin=0):
    """Moves the data of every tensor into the files by turns, at odd offsets, every second one without a length."""
    for number, tensor in enumerate(tensors_in(model)):
        place = files[number % len(files)]
        path = os.path.join(folder, place)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = raw(tensor)
        offset = (os.path.getsize(path) if os.path.exists(path) else begin) + number % 3
        with open(path, "ab") as file:
            file.truncate(offset)
            file.write(data)
        kept = (list(tensor.dims), tensor.data_type, tensor.name, tensor.doc_string)
        tensor.Clear()
        tensor.dims.extend(kept[0])
        tensor.data_type, tensor.name, tensor.doc_string = kept[1:]
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": place, "offset": str(offset), "length": str(len(data))}
        if number % 2:
            del entries["length"]
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)


def raw(tensor):
    return tensor.raw_data if tensor.HasField("raw_data") else numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data


def weight(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def value(name, shape=(1, 8), kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return helper.make_node("Constant", [], [name], value=weight(name, array))


def model(nodes, weights=(), functions=(), opset=21, sparse=(), inputs=None):
    graph = helper.make_graph(nodes, "main", inputs or [value("x")], [value("y")], list(weights), sparse_initializer=list(sparse))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    made = helper.make_model(graph, functions=list(functions), opset_imports=opsets, ir_version=10)
    made.metadata_props.add(key="kept", value="as it is")
    return made


def initializers():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])]
    return model(nodes, [weight("w", ROWS), weight("b", ROWS[:1])])


def branch():
    then = helper.make_graph([constant("c", ROWS[:1])], "then", [], [value("c")])
    other = helper.make_graph([helper.make_node("Identity", ["e"], ["o"])], "else", [], [value("o")], [weight("e", ROWS[1:2])])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "limit"], ["large"]),
        helper.make_node("If", ["large"], ["d"], then_branch=then, else_branch=other),
        helper.make_node("Add", ["d", "x"], ["y"]),
    ]
    return model(nodes, [weight("limit", np.float32(3))])


def loop():
    inner = helper.make_graph([constant("i", ROWS[2:3])], "inner", [], [value("i")])
    other = helper.make_graph([constant("j", ROWS[3:4])], "other", [], [value("j")])
    body_nodes = [
        helper.make_node("If", ["go_in"], ["k"], then_branch=inner, else_branch=other),
        helper.make_node("Add", ["at_in", "k"], ["sum"]),
        helper.make_node("Mul", ["sum", "factor"], ["at_out"]),
        helper.make_node("Identity", ["go_in"], ["go_out"]),
    ]
    body_inputs = [value("turn", (), INT64), value("go_in", (), BOOL), value("at_in")]
    body_outputs = [value("go_out", (), BOOL), value("at_out")]
    body = helper.make_graph(body_nodes, "body", body_inputs, body_outputs, [weight("factor", np.float32([[0.5]]))])
    return model([helper.make_node("Loop", ["turns", "go", "x"], ["y"], body=body)], [weight("turns", np.int64(3)), weight("go", np.bool_(True))])


def function():
    nodes = [constant("c", ROWS), helper.make_node("MatMul", ["a", "c"], ["r"])]
    own = helper.make_function("own", "Times", ["a"], ["r"], nodes, [helper.make_opsetid("", 21)])
    return model([helper.make_node("Times", ["x"], ["y"], domain="own")], functions=[own])


def sparse():
    values, indices = weight("s", np.float32([1, 2, 3])), weight("", np.int64([0, 9, 18]))
    tensor = helper.make_sparse_tensor(values, indices, [8, 8])
    return model([helper.make_node("MatMul", ["x", "s"], ["y"])], sparse=[tensor])


def int4():
    packed = helper.make_tensor("q", TensorProto.INT4, [3, 3], bytes([0x21, 0x43, 0xF5, 0x76, 0x08]), raw=True)
    dense = helper.make_tensor("p", TensorProto.INT4, [8], bytes([0x21, 0x43, 0xF5, 0x76]), raw=True)
    nodes = [
        helper.make_node("DequantizeLinear", ["p", "scale"], ["f"]),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["g"]),
        helper.make_node("ReduceMax", ["g"], ["m"], keepdims=0),
        helper.make_node("Mul", ["x", "f"], ["h"]),
        helper.make_node("Add", ["h", "m"], ["y"]),
    ]
    return model(nodes, [packed, dense, weight("scale", np.float32(0.25))])


def bfloat16():
    bits = (ROWS[:1].view(np.uint32) >> 16).astype(np.uint16)
    tensor = helper.make_tensor("w", TensorProto.BFLOAT16, [1, 8], bits.tobytes(), raw=True)
    nodes = [helper.make_node("Cast", ["w"], ["f"], to=FLOAT), helper.make_node("Add", ["x", "f"], ["y"])]
    return model(nodes, [tensor])


def empty():
    nodes = [helper.make_node("Concat", ["x", "none"], ["h"], axis=1), helper.make_node("Add", ["h", "b"], ["y"])]
    return model(nodes, [weight("none", np.zeros((1, 0), np.float32)), weight("b", ROWS[:1])])


MODELS = {
    "initializers": (initializers, ["weights.data"]),
    "branch": (branch, ["weights.data"]),
    "loop": (loop, ["one.data", "sub/two.data"]),
    "function": (function, ["weights.data"]),
    "sparse": (sparse, ["weights.data"]),
    "int4": (int4, ["weights.data"]),
    "bfloat16": (bfloat16, ["weights.data"]),
    "empty": (empty, ["a.data", "b.data", "c.data"]),
}


def save(made, folder, name, files):
    os.makedirs(folder, exist_ok=True)
    externalize(made, folder, files, begin=5)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(made.SerializeToString())


def make(folder):
    for name, (build, files) in MODELS.items():
        save(build(), os.path.join(folder, name), "model.onnx", files)
        print(name)
    save(initializers(), os.path.join(folder, "shared"), "a.onnx", ["shared.data"])
    save(branch(), os.path.join(folder, "shared"), "b.onnx", ["shared.data", "own.data"])
    print("shared")


def inside(path):
    """The model with its data inside, taken in by hand."""
    made = onnx.load(path, load_external_data=False)
    for tensor in tensors_in(made):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        bits = {TensorProto.INT4: 4, TensorProto.BFLOAT16: 16}.get(tensor.data_type)
        bits = bits or helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * 8
        length = (int(np.prod(tensor.dims, dtype=np.int64)) * bits + 7) // 8
        with open(os.path.join(os.path.dirname(path), entries["location"]), "rb") as file:
            file.seek(int(entries["offset"]))
            tensor.raw_data = file.read(length)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return made


def compare(source, target):
    paths = sorted(glob.glob(os.path.join(source, "*.onnx")))
    assert paths, source
    for path in paths:
        found_path = os.path.join(target, os.path.basename(path))
        expected, found = inside(path), onnx.load(found_path, load_external_data=False)
        assert found == expected, f"{found_path} is another model"
        assert not any(tensor.external_data or tensor.data_location for tensor in tensors_in(found)), found_path
        onnx.checker.check_model(found_path)
        for ours, theirs in zip(tensors_in(onnx.load(found_path)), tensors_in(expected), strict=True):
            assert np.array_equal(numpy_helper.to_array(ours), numpy_helper.to_array(theirs)), ours.name
    print(len(paths))


if __name__ == "__main__":
    {"make": make, "compare": compare}[sys.argv[1]](*sys.argv[2:])
