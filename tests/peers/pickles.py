"""Writes pickles of many kinds and tells what loading them imports, one JSON object a line.

Usage: pickles.py FOLDER
Needs PyPI `scikit-learn`, `joblib` and `numpy`. What is imported is told by the real loaders, whose `find_class` is listened to; for plain
pickles `pickletools` must know the same names. PyTorch is not needed: its files are put together with stand-ins for its classes.
"""

import json
import pickle
import pickletools
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import joblib
import numpy as np
from joblib.numpy_pickle import NumpyUnpickler
from joblib.numpy_pickle_utils import _COMPRESSORS, _detect_compressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

X = np.random.RandomState(0).randn(60, 4)
Y = (X[:, 0] > 0).astype(int)
STRUCTURED = np.zeros(3, dtype=[("a", "<f8"), ("b", "S3"), ("c", "U2")])

OBJECTS = {
    "logistic": LogisticRegression().fit(X, Y),
    "texts": LogisticRegression().fit(X, np.array(["no", "yes"], dtype=object)[Y]),
    "pipeline": Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())]).fit(X, Y),
    "forest": RandomForestClassifier(4, random_state=0).fit(X, Y),
    "boosting": HistGradientBoostingClassifier(max_iter=2, random_state=0).fit(X, Y),
    "words": TfidfVectorizer().fit(["one two three", "two three four"]),
    "arrays": [np.zeros(300_000), np.asfortranarray(X), STRUCTURED, np.array([]), np.array(1.5), np.array(["x", None], dtype=object)],
    "dates": {"d": np.array(["2026-01-01"], dtype="M8[D]"), "s": np.array(["ab", "c"]), "b": np.array([b"x"]), "v": X > 0},
}


class Listening(pickle.Unpickler):
    def __init__(self, *args):
        super().__init__(*args)
        self.heard = set()

    def find_class(self, module, name):
        self.heard.add(f"{module}.{name}")
        return super().find_class(module, name)


class JoblibListening(NumpyUnpickler):
    def find_class(self, module, name):
        self.heard.add(f"{module}.{name}")
        return super().find_class(module, name)


def heard_by_pickle(path):
    with open(path, "rb") as file:
        reader = Listening(file)
        made = reader.load()
    globals_ = {arg.replace(" ", ".") for op, arg, _ in pickletools.genops(path.read_bytes()) if op.name in ("GLOBAL", "INST")}
    assert globals_ <= reader.heard, globals_ - reader.heard
    return reader.heard, made


def heard_by_joblib(path):
    with open(path, "rb") as raw:
        file = raw if _detect_compressor(raw) == "not-compressed" else _COMPRESSORS[_detect_compressor(raw)].decompressor_file(raw)
        reader = JoblibListening(str(path), file, ensure_native_byte_order=True)
        reader.heard = set()
        made = reader.load()
    return reader.heard, made


def class_of(made):
    return f"{type(made).__module__}.{type(made).__name__}"


def tell(path, heard, made, **more):
    print(json.dumps({"path": str(path), "imports": sorted(heard), "estimator": class_of(made), "features": getattr(made, "n_features_in_", None), **more}))


def stand_in(name):
    module = types.ModuleType(name)
    sys.modules[name] = module
    return module


def torch_files(folder):
    """State dicts as `torch.save` writes them since 1.6 and before."""
    torch, utils = stand_in("torch"), stand_in("torch._utils")

    def _rebuild_tensor_v2(*arguments):
        raise AssertionError("nobody loads this")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    storages = {name: type(name, (), {"__module__": "torch"}) for name in ("FloatStorage", "HalfStorage")}
    for name, storage in storages.items():
        setattr(torch, name, storage)

    class Stored:
        def __init__(self, kind, key, count):
            self.id = ("storage", storages[kind], key, "cpu", count)

    class Tensor:
        def __init__(self, kind, key, shape):
            self.storage, self.shape = Stored(kind, key, int(np.prod(shape))), shape

        def __reduce__(self):
            return _rebuild_tensor_v2, (self.storage, 0, self.shape, tuple(1 for _ in self.shape), False, OrderedDict())

    class Saver(pickle.Pickler):
        def persistent_id(self, value):
            return value.id if isinstance(value, Stored) else None

    weights = OrderedDict(a=Tensor("FloatStorage", "0", (5, 7)), b=Tensor("HalfStorage", "1", ()), c=Tensor("FloatStorage", "2", (2, 3, 4)))
    truth = {"imports": ["collections.OrderedDict", "torch.FloatStorage", "torch.HalfStorage", "torch._utils._rebuild_tensor_v2"], "types": "float16 1, float32 59"}
    for protocol in range(2, 6):
        path = folder / f"zip{protocol}.pt"
        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("archive/data.pkl", "w") as entry:
                Saver(entry, protocol).dump(weights)
            for key in "012":
                archive.writestr(f"archive/data/{key}", b"\x80\x02}" + bytes(100))
            archive.writestr("archive/version", "3\n")
        print(json.dumps({"path": str(path), **truth}))
        path = folder / f"legacy{protocol}.pth"
        with open(path, "wb") as file:
            for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
                pickle.dump(value, file, protocol)
            Saver(file, protocol).dump(weights)
            pickle.dump(["0", "1", "2"], file, protocol)
            file.write(bytes(500))
        print(json.dumps({"path": str(path), **truth}))


def main(folder):
    for name, value in OBJECTS.items():
        for protocol in range(6):
            path = folder / f"{name}.{protocol}.pkl"
            path.write_bytes(pickle.dumps(value, protocol))
            tell(path, *heard_by_pickle(path))
            path = folder / f"{name}.{protocol}.joblib"
            joblib.dump(value, path, protocol=protocol)
            tell(path, *heard_by_joblib(path))
        for compression in ("zlib", "gzip"):
            path = folder / f"{name}.{compression}.joblib"
            joblib.dump(value, path, compress=(compression, 3))
            tell(path, *heard_by_joblib(path))
        for compression in ("bz2", "xz", "lzma"):
            path = folder / f"{name}.{compression}.joblib"
            joblib.dump(value, path, compress=(compression, 3))
            print(json.dumps({"path": str(path), "opaque": True}))
    torch_files(folder)


main(Path(sys.argv[1]))
