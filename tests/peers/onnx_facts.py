"""Tells about ONNX files what the reference implementation sees in them, one JSON object a line.

Usage: onnx_facts.py FILE...     or: onnx_facts.py --backend-tests COUNT
Needs PyPI `onnx`. Written against the protobuf classes only, so that it shares nothing with the reader under test.
"""

import glob
import json
import os
import sys

import onnx
from onnx import AttributeProto, TensorProto

SPECIAL = {"float": "float32", "double": "float64"}


def element_type(number):
    name = TensorProto.DataType.Name(number).lower()
    return SPECIAL.get(name, name)


def dimension(dim):
    if dim.HasField("dim_value"):
        return str(dim.dim_value) if dim.dim_value >= 0 else "?"
    return dim.dim_param or "?"


def shape(tensor):
    return "[" + ",".join(dimension(dim) for dim in tensor.shape.dim) + "]" if tensor.HasField("shape") else ""


def kind(value):
    which = value.WhichOneof("value")
    if which == "tensor_type":
        return element_type(value.tensor_type.elem_type) + shape(value.tensor_type)
    if which == "sparse_tensor_type":
        return f"sparse({element_type(value.sparse_tensor_type.elem_type)})" + shape(value.sparse_tensor_type)
    if which == "sequence_type":
        return f"sequence({kind(value.sequence_type.elem_type)})"
    if which == "optional_type":
        return f"optional({kind(value.optional_type.elem_type)})"
    if which == "map_type":
        return f"map({element_type(value.map_type.key_type)},{kind(value.map_type.value_type)})"
    return "unknown"


def tensors_in(message):
    """Every TensorProto below a message, found by reflection."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if field.is_repeated else [value]:
            if isinstance(item, TensorProto):
                yield item
            else:
                yield from tensors_in(item)


def nodes_in(message):
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if field.is_repeated else [value]:
            if item.DESCRIPTOR.name == "NodeProto":
                yield item
            yield from nodes_in(item)


def elements(tensor):
    count = 1
    for dim in tensor.dims:
        count *= dim
    return count


def facts(path):
    model = onnx.load(path, load_external_data=False)
    weights = {tensor.name for tensor in model.graph.initializer} | {t.values.name for t in model.graph.sparse_initializer}
    del model.training_info[:]
    tensors, nodes = list(tensors_in(model)), list(nodes_in(model))
    types = {}
    for tensor in tensors:
        name = element_type(tensor.data_type)
        types[name] = types.get(name, 0) + elements(tensor)
    return {
        "path": path,
        "ir-version": str(model.ir_version),
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "graph": model.graph.name,
        "opset": ", ".join(sorted(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.opset_import)),
        "nodes": str(len(nodes)),
        "operator-domains": ", ".join(sorted({n.domain or "ai.onnx" for n in nodes})),
        "parameters": str(sum(types.values())),
        "parameter-types": ", ".join(f"{name} {types[name]}" for name in sorted(types)),
        "inputs": [f"{v.name}: {kind(v.type)}" for v in model.graph.input if v.name not in weights],
        "outputs": [f"{v.name}: {kind(v.type)}" for v in model.graph.output],
    }


def backend_tests(count):
    """Models that travel with the onnx package: the light zoo models, then others by name."""
    folder = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
    light = sorted(glob.glob(os.path.join(folder, "light", "*.onnx")))
    others = sorted(set(glob.glob(os.path.join(folder, "**", "*.onnx"), recursive=True)) - set(light))
    return (light + others)[:count]


def main(arguments):
    paths = backend_tests(int(arguments[1])) if arguments[:1] == ["--backend-tests"] else arguments
    for path in paths:
        print(json.dumps(facts(path)))


if __name__ == "__main__":
    main(sys.argv[1:])
