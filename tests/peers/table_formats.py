"""Writes models with the programs that own their formats, and tells what these programs see in them, one JSON object a line.

Usage: table_formats.py FOLDER TESTDATA
Needs PyPI `xgboost-cpu`, `lightgbm`, `openvino`, `ai-edge-litert`, `numpy`.
"""

import json
import os
import sys

import lightgbm
import numpy
import openvino
import xgboost
from ai_edge_litert.interpreter import Interpreter

TYPES = {"f32": "float32", "f16": "float16", "i64": "int64", "i32": "int32", "boolean": "bool"}
NAMES = ["length", "width", "depth", "weight"]
ROWS = numpy.random.default_rng(7).random((60, 4), dtype=numpy.float32)
LABELS = numpy.arange(60) % 3


def tell(path, format, facts, inputs=None, outputs=None):
    print(json.dumps({"path": path, "format": format, "facts": facts, "inputs": inputs, "outputs": outputs}))


def xgboost_models(folder):
    data = xgboost.DMatrix(ROWS, label=LABELS, feature_names=NAMES)
    for booster, objective, classes in [("gbtree", "multi:softprob", 3), ("dart", "reg:squarederror", None), ("gblinear", "reg:squarederror", None)]:
        options = {"booster": booster, "objective": objective, "verbosity": 0} | ({"num_class": classes} if classes else {})
        model = xgboost.train(options, data, 4)
        for ending in ["json", "ubj"]:
            path = os.path.join(folder, f"{booster}.{ending}")
            model.save_model(path)
            read = xgboost.Booster(model_file=path)
            facts = {"booster": booster, "objective": objective, "features": str(read.num_features()), "feature-names": ", ".join(read.feature_names)}
            facts["producer"] = f"XGBoost {xgboost.__version__}"
            if booster != "gblinear":
                facts["trees"] = str(len(read.get_dump()))
            tell(path, "xgboost", facts, [f"input: float32[batch,{read.num_features()}]"])


def lightgbm_models(folder):
    for objective, classes in [("binary", 1), ("multiclass", 3)]:
        data = lightgbm.Dataset(ROWS, label=LABELS % 2 if classes == 1 else LABELS, feature_name=NAMES)
        path = os.path.join(folder, f"{objective}.txt")
        lightgbm.train({"objective": objective, "num_class": classes, "min_data_in_leaf": 1, "verbose": -1}, data, 4).save_model(path)
        read = lightgbm.Booster(model_file=path)
        facts = {"trees": str(read.num_trees()), "features": str(read.num_feature()), "feature-names": ", ".join(read.feature_name())}
        tell(path, "lightgbm", facts, [f"input: float64[batch,{read.num_feature()}]"])


def tensor(port):
    kind = port.get_element_type().get_type_name()
    return f"{port.get_any_name()}: {TYPES.get(kind, kind)}{str(port.get_partial_shape()).replace(' ', '')}"


def openvino_models(folder, testdata):
    core = openvino.Core()
    for name, source in [("magika", "magika/model.onnx"), ("saved", "tf_linear"), ("lite", "tflite_linear/linear.tflite")]:
        path = os.path.join(folder, f"{name}.xml")
        openvino.save_model(core.read_model(os.path.join(testdata, source)), path)
        read = core.read_model(path)
        facts = {"layers": str(len(read.get_ops()))}
        tell(path, "openvino", facts, [tensor(port) for port in read.inputs], [tensor(port) for port in read.outputs])


def saved_model(testdata):
    path = os.path.join(testdata, "tf_linear")
    read = openvino.Core().read_model(path)
    outputs = sorted(tensor(port) for port in read.outputs)
    tell(path, "tensorflow", {}, [tensor(port) for port in read.inputs], outputs)


def lite_tensor(details):
    shape = ",".join("?" if size < 0 else str(size) for size in details["shape_signature"])
    return f"{details['name']}: {numpy.dtype(details['dtype']).name}[{shape}]"


def lite_model(testdata):
    path = os.path.join(testdata, "tflite_linear")
    read = Interpreter(model_path=os.path.join(path, "linear.tflite"))
    facts = {"signatures": ", ".join(read.get_signature_list())}
    inputs, outputs = read.get_input_details(), read.get_output_details()
    tell(path, "tflite", facts, [lite_tensor(one) for one in inputs], [lite_tensor(one) for one in outputs])


def main(folder, testdata):
    xgboost_models(folder)
    lightgbm_models(folder)
    openvino_models(folder, testdata)
    saved_model(testdata)
    lite_model(testdata)


if __name__ == "__main__":
    main(*sys.argv[1:])
