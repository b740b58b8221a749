"""Makes testdata/models/tf_linear (a SavedModel) and testdata/models/tflite_linear (a LiteRT model).

Usage: make_tf_samples.py FOLDER     with PyPI `tensorflow-cpu` 2.21.0
Too large to install for every test run, so what it makes is kept in the repository.
"""

import os
import sys

import numpy
import tensorflow as tf


class Linear(tf.Module):
    """Two sums of three features, and the larger one's number."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(numpy.arange(6, dtype=numpy.float32).reshape(3, 2), name="weights")
        self.bias = tf.Variable(tf.constant([0.5, -0.5]), name="bias")

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="features")])
    def serve(self, features):
        scores = tf.linalg.matmul(features, self.weights) + self.bias
        return {"scores": scores, "winner": tf.argmax(scores, axis=1)}


def main(folder):
    model = Linear()
    saved = os.path.join(folder, "tf_linear")
    tf.saved_model.save(model, saved, signatures={"serving_default": model.serve})
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    lite = os.path.join(folder, "tflite_linear")
    os.makedirs(lite, exist_ok=True)
    with open(os.path.join(lite, "linear.tflite"), "wb") as file:
        file.write(converter.convert())


if __name__ == "__main__":
    main(sys.argv[1])
