"""Recipes: quantization-aware training with tensorflow_model_optimization, then int8 TFLite.

Runs where that package and tf.keras do: TensorFlow 2.10, or a newer one with TF_USE_LEGACY_KERAS=1.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import old_tensorflow
import tensorflow as tf
import tensorflow_model_optimization as tfmot

STEPS = 12


def recipes():
    """File name -> maker."""
    names = {"classifier": old_tensorflow.classifier, "bottlenecks": bottlenecks}
    return {
        f"qat{old_tensorflow.VERSION}_{name}.{way}.tflite": partial(convert, network, way)
        for name, network in names.items()
        for way in ("int8", "float_border", "uint8_border")
    }


def convert(network, way):
    """Trained a few steps on random labels: enough for ranges of their own in every layer."""
    tf.keras.utils.set_random_seed(3)
    model = tfmot.quantization.keras.quantize_model(network(None))
    rng = np.random.default_rng(5)
    shape = model.inputs[0].shape[1:]
    classes = model.outputs[0].shape[-1]
    x = rng.normal(0, 1, (16 * STEPS, *shape)).astype(np.float32)
    y = rng.integers(0, classes, len(x))
    model.compile(
        tf.keras.optimizers.SGD(0.05), tf.keras.losses.SparseCategoricalCrossentropy(True)
    )
    model.fit(x, y, 16, verbose=0)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    border = {"int8": tf.int8, "float_border": tf.float32, "uint8_border": tf.uint8}[way]
    converter.inference_input_type = converter.inference_output_type = border
    return converter.convert()


def bottlenecks(batch):
    layers, keras = tf.keras.layers, tf.keras
    inputs = keras.Input((24, 24, 3), batch)
    x = layers.Conv2D(8, 3, 2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    for _ in range(2):
        y = layers.Conv2D(24, 1, use_bias=False)(x)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(y))
        x = layers.Add()([x, y])
    x = layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(5)(x))
