"""Recipes: tf.keras networks -> the TFLite converters of TensorFlow 1.15 to 2.10.

Their files differ from today's: float scales that were rounded elsewhere, SPACE_TO_BATCH_ND around
dilated convolutions, shapes computed at run time, and (1.x) the legacy uint8 scheme.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial

import numpy as np
import tensorflow as tf

layers, keras = tf.keras.layers, tf.keras
VERSION = "".join(tf.__version__.split(".")[:2])


def recipes():
    """File name -> maker."""
    made = {}
    for name in NETWORKS:
        for way in ("int8", "float_border", "uint8_dummy", "any_batch"):
            made[f"tf{VERSION}_{name}.{way}.tflite"] = partial(convert, name, way)
    return made


def convert(name, way):
    """One network converted one way."""
    keras.backend.clear_session()
    np.random.seed(3)
    tf.compat.v1.set_random_seed(3)
    model = NETWORKS[name](None if way == "any_batch" else 1)
    rng = np.random.RandomState(4)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            size = weights[0].shape
            weights = [rng.uniform(0.5, 1.5, size), rng.normal(0, 0.3, size)]
            weights += [rng.normal(0, 0.3, size), rng.uniform(0.5, 2, size)]
        elif len(weights) == 2:
            weights[1] = rng.normal(0, 0.1, weights[1].shape)
        layer.set_weights(weights)
    if way == "uint8_dummy":
        return _uint8(model)
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    shape = tuple(int(size) for size in model.inputs[0].shape[1:])
    converter.representative_dataset = lambda: (
        [np.random.RandomState(i).normal(0, 1, (1, *shape)).astype(np.float32)] for i in range(8)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if way != "float_border" and VERSION != "115":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def _converter(model, legacy=False):
    if VERSION != "115" and not legacy:
        return tf.lite.TFLiteConverter.from_keras_model(model)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.h5")  # noqa: PTH118 (the old TensorFlow wants a string)
        model.save(path)
        return tf.compat.v1.lite.TFLiteConverter.from_keras_model_file(path)


def _uint8(model):
    """The scheme before int8; default ranges stand in for quantization-aware training."""
    converter = _converter(model, legacy=True)
    converter.inference_type = tf.uint8
    converter.quantized_input_stats = {converter.get_input_arrays()[0]: (128.0, 64.0)}
    converter.default_ranges_stats = (-4.0, 6.0)
    return converter.convert()


def _normalized(x, activation=None):
    x = layers.BatchNormalization()(x)
    return x if activation is None else layers.ReLU(6.0 if activation == "relu6" else None)(x)


def classifier(batch):
    inputs = keras.Input((24, 24, 3), batch)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(inputs)
    x = _normalized(layers.Conv2D(8, 3, 2, use_bias=False)(x), "relu6")
    y = _normalized(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x), "relu6")
    y = _normalized(layers.Conv2D(8, 1, use_bias=False)(y))
    x = layers.add([x, y])
    x = layers.concatenate([x, layers.Conv2D(8, 1, activation="relu")(x)])
    x = layers.MaxPooling2D(2)(x)
    x = layers.AveragePooling2D(3)(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))


def gated(batch):
    inputs = keras.Input((16, 16, 3), batch)
    x = layers.Conv2D(8, 3, 2, padding="same")(inputs)
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="relu")(gate))
    x = layers.multiply([x, gate])
    x = layers.multiply([x, layers.Activation("sigmoid")(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5)(x))


def dilated(batch):
    inputs = keras.Input((16, 16, 3), batch)
    x = layers.Conv2D(8, 3, padding="same", dilation_rate=2, activation="relu")(inputs)
    return keras.Model(inputs, layers.Conv2D(4, 3, dilation_rate=2)(x))


def sequence(batch):
    inputs = keras.Input((32, 4), batch)
    x = layers.MaxPooling1D(2)(layers.Conv1D(8, 3, padding="same", activation="relu")(inputs))
    x = layers.Dense(6, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


NETWORKS = {"classifier": classifier, "gated": gated, "dilated": dilated, "sequence": sequence}
