"""Models of every format, and the runtimes that load them.

    formats.py make DIR   makes one model per format below DIR
    formats.py answers    reads a JSON list of {server, source, models} and prints one of {source, served}: what the
                          server's library says for the model where its author left it, and for the one that the server
                          finds in the folder `models` by its own rules for folders and names

Answers are lists of numbers for fixed inputs; two that print the same are the same to the last digit.

What is real: onnxruntime, OpenVINO, LiteRT, XGBoost, LightGBM, scikit-learn, and MLServer's own model classes. TensorFlow
Serving, Triton, vLLM and KServe's small servers cannot be had as packages; their rules for finding a model are written
down here, and the library inside them does the loading (OpenVINO's TensorFlow reader stands in for TensorFlow).
"""

import asyncio
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
TESTDATA = REPOSITORY / "testdata" / "models"
FEATURES = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.7, 1.5], [7.2, 3.6, 6.1, 2.5]], dtype=np.float32)


# --- models -----------------------------------------------------------------------------------------------------------


def make(root):
    for name, maker in MAKERS.items():
        folder = root / name
        folder.mkdir(parents=True)
        maker(folder)


def iris():
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def make_onnx(folder):
    shutil.copytree(TESTDATA / "magika", folder, dirs_exist_ok=True)


def make_onnx_external(folder):
    import onnx

    model = onnx.load(TESTDATA / "magika" / "model.onnx")
    onnx.save_model(model, folder / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=1024)


def make_openvino(folder):
    import openvino

    model = openvino.Core().read_model(TESTDATA / "magika" / "model.onnx")
    openvino.save_model(model, folder / "net.xml", compress_to_fp16=False)


def make_tensorflow(folder):
    shutil.copytree(TESTDATA / "tf_linear", folder, dirs_exist_ok=True)


def make_tflite(folder):
    for path in (TESTDATA / "tflite_linear").glob("*.tflite"):
        shutil.copy(path, folder)


def make_sklearn(folder):
    import joblib
    from sklearn.ensemble import RandomForestClassifier

    joblib.dump(RandomForestClassifier(n_estimators=5, random_state=7).fit(*iris()), folder / "classifier.joblib")


def make_sklearn_pickle(folder):
    import pickle
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(*iris())
    (folder / "pipeline.pkl").write_bytes(pickle.dumps(pipeline))


def booster():
    import xgboost

    data = xgboost.DMatrix(iris()[0], label=iris()[1])
    return xgboost.train({"objective": "multi:softprob", "num_class": 3, "seed": 7}, data, num_boost_round=4)


def make_xgboost_json(folder):
    booster().save_model(folder / "trees.json")


def make_xgboost_ubj(folder):
    booster().save_model(folder / "trees.ubj")


def make_lightgbm(folder):
    import lightgbm

    data = lightgbm.Dataset(iris()[0], label=iris()[1])
    options = {"objective": "multiclass", "num_class": 3, "seed": 7, "verbose": -1, "num_threads": 1}
    lightgbm.train(options, data, num_boost_round=4).save_model(folder / "trees.txt")


def make_pmml(folder):
    for path in (TESTDATA / "pmml_tree").glob("*.pmml"):
        shutil.copy(path, folder)


def make_huggingface(folder):
    from safetensors.numpy import save_file

    random = np.random.default_rng(7)
    shards = {f"model-{n:05}-of-00002.safetensors": {f"layers.{n}.weight": random.random((64, 32), dtype=np.float32)} for n in (1, 2)}
    for name, tensors in shards.items():
        save_file(tensors, folder / name, metadata={"format": "pt"})
    weights = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    index = {"metadata": {"total_size": 2 * 64 * 32 * 4}, "weight_map": weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "max_position_embeddings": 128}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}')
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 128}')
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model for tests\n")


def make_safetensors(folder):
    from safetensors.numpy import save_file

    save_file({"w": np.arange(12, dtype=np.float32).reshape(3, 4)}, folder / "weights.safetensors")


def make_gguf(folder):
    import gguf

    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_tensor("token_embd.weight", np.arange(64, dtype=np.float32).reshape(2, 32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_ovms_repository(folder):
    (folder / "3").mkdir()
    shutil.copy(TESTDATA / "magika" / "model.onnx", folder / "3")


def make_triton_repository(folder):
    (folder / "magika" / "1").mkdir(parents=True)
    shutil.copy(TESTDATA / "magika" / "model.onnx", folder / "magika" / "1")
    (folder / "magika" / "config.pbtxt").write_text('name: "magika"\nbackend: "onnxruntime"\nmax_batch_size: 0\n')


def make_mlserver_folder(folder):
    make_sklearn(folder)
    settings = {"name": "iris", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./classifier.joblib"}}
    (folder / "model-settings.json").write_text(json.dumps(settings))


MAKERS = {name.removeprefix("make_"): maker for name, maker in list(globals().items()) if name.startswith("make_")}


# --- runtimes ---------------------------------------------------------------------------------------------------------


def numbers(arrays):
    return [value for array in arrays for value in np.asarray(array, dtype=np.float64).ravel().tolist()]


def example(shape, dtype):
    size = int(np.prod(shape))
    return (np.arange(size) % 250).reshape(shape).astype(dtype)


def load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64}
    inputs = {i.name: example([d if isinstance(d, int) else 1 for d in i.shape], types[i.type]) for i in session.get_inputs()}
    return numbers(session.run(None, inputs))


def load_openvino(path):
    import openvino

    path = path.parent if path.name == "saved_model.pb" else path
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
    inputs = [example([d.get_length() if d.is_static else 1 for d in i.partial_shape], i.element_type.to_dtype()) for i in compiled.inputs]
    return numbers(compiled(inputs).values())


def load_tflite(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], example(tensor["shape"], tensor["dtype"]))
    interpreter.invoke()
    return numbers(interpreter.get_tensor(tensor["index"]) for tensor in interpreter.get_output_details())


def load_sklearn(path):
    import joblib

    return numbers([joblib.load(path).predict_proba(FEATURES)])


def load_xgboost(path):
    import xgboost

    return numbers([xgboost.Booster(model_file=path).predict(xgboost.DMatrix(FEATURES))])


def load_lightgbm(path):
    import lightgbm

    return numbers([lightgbm.Booster(model_file=path).predict(FEATURES, num_threads=1)])


def load_pmml(path):
    from sklearn_pmml_model.auto_detect import auto_detect_estimator

    return numbers([auto_detect_estimator(pmml=str(path)).predict_proba(FEATURES)])


def load_safetensors(path):
    from safetensors.numpy import load_file

    return [[name, hashlib.sha256(tensor.tobytes()).hexdigest()] for name, tensor in sorted(load_file(path).items())]


def load_huggingface(path):
    folder = path.parent
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    return [config["architectures"]] + [load_safetensors(folder / shard) for shard in sorted(set(index["weight_map"].values()))]


def load_gguf(path):
    from gguf import GGUFReader

    return [[tensor.name, hashlib.sha256(tensor.data.tobytes()).hexdigest()] for tensor in GGUFReader(path).tensors]


# --- servers: where each looks below /models --------------------------------------------------------------------------


def only(paths, what):
    found = sorted(paths)
    if len(found) != 1:
        raise SystemExit(f"expected one {what}, found {[str(path) for path in found]}")
    return found[0]


def matching(folder, *patterns):
    return only((path for pattern in patterns for path in folder.glob(pattern)), " or ".join(patterns))


def newest_version(folder):
    versions = [path for path in folder.iterdir() if path.name.isdigit() and path.name[0] != "0"]
    return max(versions, key=lambda path: int(path.name))


def find_version(folder):
    return matching(newest_version(folder), "*.onnx", "*.xml", "*.tflite", "saved_model.pb")


def find_triton(folder):
    version = newest_version(only((path for path in folder.iterdir() if path.is_dir()), "model"))
    names = ("model.onnx", "model.xml", "model.savedmodel")
    return only((version / name for name in names if (version / name).exists()), "model")


def load_triton(path):
    return load_onnx(path) if path.suffix == ".onnx" else load_openvino(path)


def find_mlserver(folder):
    """MLServer itself looks for its well-known names in a folder; for ONNX its runtime is not on PyPI."""
    return folder / "model.onnx" if (folder / "model.onnx").is_file() else folder


def load_mlserver(path):
    if path.suffix == ".onnx":
        return load_onnx(path)
    from mlserver.settings import ModelParameters, ModelSettings
    from mlserver.types import InferenceRequest
    from mlserver_lightgbm import LightGBMModel
    from mlserver_sklearn import SKLearnModel
    from mlserver_xgboost import XGBoostModel

    suffixes = {each.suffix for each in (path.iterdir() if path.is_dir() else [path])}
    implementation = SKLearnModel if suffixes & {".joblib", ".pkl"} else LightGBMModel if suffixes & {".bst", ".txt"} else XGBoostModel
    settings = ModelSettings(name="m", implementation=implementation, parameters=ModelParameters(uri=str(path)))
    if (path / "model-settings.json").is_file():
        settings = ModelSettings.parse_file(str(path / "model-settings.json"))

    async def answer():
        model = implementation(settings)
        await model.load()
        outputs = [{"name": "predict_proba"}] if implementation is SKLearnModel else []
        tensor = {"name": "x", "shape": list(FEATURES.shape), "datatype": "FP32", "data": FEATURES.ravel().tolist()}
        response = await model.predict(InferenceRequest.model_validate({"inputs": [tensor], "outputs": outputs}))
        return numbers(output.data.root for output in response.outputs)

    return asyncio.run(answer())


# how each finds its model below /models, and what loads it
SERVERS = {
    "ovms": (find_version, load_openvino),
    "tensorflow-serving": (find_version, load_openvino),
    "litert": (find_version, load_tflite),
    "triton": (find_triton, load_triton),
    "mlserver": (find_mlserver, load_mlserver),
    "sklearnserver": (lambda folder: matching(folder, "*.joblib", "*.pkl", "*.pickle"), load_sklearn),
    "xgbserver": (lambda folder: matching(folder, "*.bst", "*.json", "*.ubj"), load_xgboost),
    "lgbserver": (lambda folder: matching(folder, "*.bst"), load_lightgbm),
    "pmmlserver": (lambda folder: matching(folder, "*.pmml"), load_pmml),
    "huggingface": (lambda folder: folder / "config.json", load_huggingface),
    "vllm": (lambda folder: matching(folder, "*.gguf"), load_gguf),
    "raw": (lambda folder: matching(folder, "*.safetensors"), load_safetensors),
}


def answers(case):
    find, load = SERVERS[case["server"]]
    return {"source": load(Path(case["source"])), "served": load(find(Path(case["models"])))}


def main(arguments):
    match arguments:
        case ["make", folder]:
            make(Path(folder))
        case ["answers"]:
            print(json.dumps([answers(case) for case in json.load(sys.stdin)]))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
