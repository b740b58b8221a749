"""Serves an ONNX model over HTTP as a model server does: real onnxruntime behind KServe's protocols v1 and v2.

Usage: serve_onnx.py FOLDER NAME ADD

FOLDER holds one *.onnx file somewhere; ADD is added to every floating-point output, which makes the answers wrong on purpose; "nan" makes
them no numbers. Prints the port. A model that cannot be loaded ends it with the library's own words.
"""

import json
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy
import onnxruntime

TYPES = {
    "FP16": numpy.float16, "FP32": numpy.float32, "FP64": numpy.float64, "BOOL": numpy.bool_, "INT8": numpy.int8, "INT16": numpy.int16,
    "INT32": numpy.int32, "INT64": numpy.int64, "UINT8": numpy.uint8, "UINT16": numpy.uint16, "UINT32": numpy.uint32, "UINT64": numpy.uint64,
}
ONNX = {
    "tensor(float16)": "FP16", "tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(bool)": "BOOL", "tensor(int8)": "INT8",
    "tensor(int32)": "INT32", "tensor(int64)": "INT64", "tensor(string)": "BYTES",
}


class Refused(Exception):
    pass


class Model:
    def __init__(self, folder, name, add):
        files = sorted(pathlib.Path(folder).rglob("*.onnx"))
        if len(files) != 1:
            sys.exit(f"{folder} holds {len(files)} ONNX files")
        self.name, self.add = name, float(add)
        self.session = onnxruntime.InferenceSession(str(files[0]), providers=["CPUExecutionProvider"])
        self.inputs = self.session.get_inputs()

    def metadata(self):
        shape = lambda value: [side if isinstance(side, int) else -1 for side in value.shape]
        inputs = [{"name": one.name, "datatype": ONNX[one.type], "shape": shape(one)} for one in self.inputs]
        return {"name": self.name, "platform": "onnx_onnxv1", "inputs": inputs, "outputs": []}

    def run(self, feed):
        try:
            outputs = self.session.run(None, feed)
        except Exception as error:
            raise Refused(str(error)) from error
        names = [output.name for output in self.session.get_outputs()]
        return {name: self.changed(dense(output)) for name, output in zip(names, outputs)}

    def changed(self, output):
        return output + output.dtype.type(self.add) if output.dtype.kind == "f" else output

    def v2(self, body):
        feed = {}
        for tensor in body["inputs"]:
            kind = TYPES.get(tensor["datatype"], object)
            feed[tensor["name"]] = numpy.array(tensor["data"], dtype=kind).reshape(tensor["shape"])
        names = {numpy.dtype(kind): name for name, kind in TYPES.items()}
        outputs = [
            {"name": name, "datatype": names.get(output.dtype, "BYTES"), "shape": list(output.shape), "data": output.ravel().tolist()}
            for name, output in self.run(feed).items()
        ]
        return {"model_name": self.name, "model_version": "1", "id": body.get("id", "1"), "outputs": outputs}

    def v1(self, body):
        only = self.inputs[0]
        feed = {only.name: numpy.array(body["instances"], dtype=TYPES[ONNX[only.type]])}
        outputs = self.run(feed)
        rows = [{name: output[row].tolist() for name, output in outputs.items()} for row in range(len(body["instances"]))]
        return {"predictions": rows if len(outputs) > 1 else [next(iter(row.values())) for row in rows]}


def dense(output):
    """scikit-learn's converter makes a list of maps from classes to probabilities."""
    if isinstance(output, list):
        return numpy.array([[row[key] for key in sorted(row)] for row in output], dtype=numpy.float32)
    return output


def handler(model):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            name = model.name
            answers = {
                "/v2/health/ready": {}, "/v2/health/live": {}, f"/v2/models/{name}/ready": {"name": name, "ready": True},
                f"/v2/models/{name}": model.metadata(), f"/v1/models/{name}": {"name": name, "ready": True},
            }
            known = answers.get(self.path)
            self.answer(404, {"error": f"no such model: {self.path}"}) if known is None else self.answer(200, known)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            protocols = {f"/v2/models/{model.name}/infer": model.v2, f"/v1/models/{model.name}:predict": model.v1}
            if self.path not in protocols:
                return self.answer(404, {"error": "no such model"})
            try:
                self.answer(200, protocols[self.path](json.loads(body)))
            except (Refused, KeyError, ValueError) as error:
                self.answer(500 if isinstance(error, Refused) else 400, {"error": str(error)})

        def answer(self, status, document):
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


def main(folder, name, add):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Model(folder, name, add)))
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
