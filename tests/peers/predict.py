"""Loads a model with a server's library, runs it on a fixed input, and prints the outputs to the last bit.

Usage: predict.py onnxruntime|openvino VERSION MODEL
"""

import sys

import numpy

TYPES = {"tensor(float)": numpy.float32, "tensor(int64)": numpy.int64, "tensor(bool)": numpy.bool_}


def sample(shape, kind):
    count = int(numpy.prod(shape, dtype=numpy.int64))
    return (numpy.arange(count) % 7 + 1).reshape(shape).astype(kind)


def onnxruntime_outputs(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {value.name: sample(value.shape, TYPES[value.type]) for value in session.get_inputs()}
    return onnxruntime.__version__, session.run(None, feed)


def openvino_outputs(path):
    import openvino

    model = openvino.Core().compile_model(path, "CPU")
    feed = [sample(value.shape, value.element_type.to_dtype()) for value in model.inputs]
    outputs = model(feed)
    return openvino.__version__, [outputs[output] for output in model.outputs]


def main(library, version, path):
    loaded, outputs = {"onnxruntime": onnxruntime_outputs, "openvino": openvino_outputs}[library](path)
    if not loaded.startswith(version):
        sys.exit(f"this is {library} {loaded}, not {version}")
    for output in outputs:
        print(output.dtype, output.shape, output.tobytes().hex())


if __name__ == "__main__":
    main(*sys.argv[1:])
