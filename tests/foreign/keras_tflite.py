"""Recipes: Keras network -> TensorFlow's own TFLite converter, with every way to quantize."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import keras
import keras_arithmetic  # noqa: F401  (registers its networks)
import keras_structures  # noqa: F401  (the same)
import numpy as np
import tensorflow as tf
from keras_networks import NETWORKS, build

SAMPLES = 8
# Networks converted in every way; all others are converted to int8 with int8 border only.
EVERY_WAY = ("ds_cnn", "mobilenet_v2_narrow", "densenet_like", "two_inputs", "conv_1d")
# Networks whose shapes the converter computes at run time when the batch is free.
ANY_BATCH = ("ds_cnn", "conv_1d", "conv_1d_dilated", "dense_on_sequence", "dense_on_pixels")
ANY_BATCH += ("channel_shuffle", "mobilenet_v3_narrow", "two_inputs", "unet_skip", "attention")


def recipes() -> dict[str, Callable[[], bytes]]:
    """File name -> maker."""
    made = {f"{name}.int8.tflite": partial(convert, name, _int8) for name in NETWORKS}
    # The int8 converter ends the process on this one.
    del made["lstm.int8.tflite"]
    made["lstm.float.tflite"] = partial(convert, "lstm", _float)
    for name in EVERY_WAY:
        for way in WAYS:
            made[f"{name}.{way}.tflite"] = partial(convert, name, WAYS[way])
    for name in ANY_BATCH:
        made[f"{name}.any_batch.tflite"] = partial(convert, name, _int8, batch=None)
    made["ds_cnn.batch_4.tflite"] = partial(convert, "ds_cnn", _int8, batch=4)
    return made


def convert(
    name: str, way: Callable[[tf.lite.TFLiteConverter], None], batch: int | None = 1
) -> bytes:
    """One network converted one way."""
    keras.backend.clear_session()
    inner = build(name)
    inputs = [keras.Input(batch_shape=(batch, *t.shape[1:]), name=t.name) for t in inner.inputs]
    model = keras.Model(inputs, inner(inputs if len(inputs) > 1 else inputs[0]))
    shapes = [tensor.shape for tensor in inputs]
    if len(shapes) > 1:  # the converter's order of inputs is its own
        plain = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        details = tf.lite.Interpreter(model_content=plain).get_input_details()
        shapes = [tuple(int(size) for size in detail["shape"]) for detail in details]
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.representative_dataset = lambda: _samples(shapes)
    way(converter)
    return converter.convert()


def _samples(shapes: list[tuple[int | None, ...]]) -> Iterator[list[np.ndarray]]:
    """Smooth random inputs around zero, of different size."""
    rng = np.random.default_rng(11)
    for size in np.linspace(0.3, 1.5, SAMPLES):
        yield [np.float32(size) * _smooth(rng, (shape[0] or 1, *shape[1:])) for shape in shapes]


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    values = rng.normal(0, 1, shape)
    for axis in range(1, max(2, len(shape) - 1)):
        values = (values + np.roll(values, 1, axis) + np.roll(values, 2, axis)) / 1.7
    return values.astype(np.float32)


def _int8(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8


def _uint8_border(converter: tf.lite.TFLiteConverter) -> None:
    _int8(converter)
    converter.inference_input_type = converter.inference_output_type = tf.uint8


def _float_border(converter: tf.lite.TFLiteConverter) -> None:
    _int8(converter)
    converter.inference_input_type = converter.inference_output_type = tf.float32


def _mixed_border(converter: tf.lite.TFLiteConverter) -> None:
    _int8(converter)
    converter.inference_output_type = tf.float32


def _per_tensor(converter: tf.lite.TFLiteConverter) -> None:
    _int8(converter)
    converter._experimental_disable_per_channel = True


def _old_quantizer(converter: tf.lite.TFLiteConverter) -> None:
    _int8(converter)
    converter.experimental_new_quantizer = False


def _dense_per_channel(converter: tf.lite.TFLiteConverter) -> None:
    _int8(converter)
    converter._experimental_disable_per_channel_quantization_for_dense_layers = False


def _dense_per_tensor(converter: tf.lite.TFLiteConverter) -> None:
    _int8(converter)
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True


def _float(converter: tf.lite.TFLiteConverter) -> None:
    converter.representative_dataset = None


def _float16(converter: tf.lite.TFLiteConverter) -> None:
    converter.representative_dataset = None
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic_range(converter: tf.lite.TFLiteConverter) -> None:
    converter.representative_dataset = None
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int16(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    int16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [int16]
    converter.inference_input_type = converter.inference_output_type = tf.int16


WAYS: dict[str, Callable[[tf.lite.TFLiteConverter], None]] = {
    "int8": _int8,
    "uint8_border": _uint8_border,
    "float_border": _float_border,
    "mixed_border": _mixed_border,
    "per_tensor": _per_tensor,
    "old_quantizer": _old_quantizer,
    "dense_per_channel": _dense_per_channel,
    "dense_per_tensor": _dense_per_tensor,
    "float": _float,
    "float16": _float16,
    "dynamic_range": _dynamic_range,
    "int16": _int16,
}
