"""Recipes: Keras network -> ONNX with tf2onnx, free batch and channels last, as users get it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras
import keras_arithmetic  # noqa: F401  (registers its networks)
import keras_structures  # noqa: F401  (the same)
import tensorflow as tf
import tf2onnx
from keras_networks import NETWORKS, build

NAMES = (
    *("ds_cnn", "resnet_8", "autoencoder_narrow", "mobilenet_v1_narrow", "mobilenet_v2_narrow"),
    *(
        "mobilenet_v3_narrow",
        "efficientnet_narrow",
        "squeezenet_like",
        "densenet_like",
        "unet_skip",
    ),
    *("pad_zero", "pad_constant", "pad_mirror", "sub_tensors", "sub_constant_first", "add_relu6"),
    *("mul_broadcast", "batch_norm_alone", "relu_n1_to_1", "hard_swish", "swish", "leaky_relu"),
    *("softmax_temperature", "softmax_per_pixel", "conv_dilated", "depthwise_multiplier"),
    *("separable", "conv_1d", "conv_1d_dilated", "conv_1d_depthwise"),
    *("dense_on_pixels", "dense_on_sequence", "average_pool_same", "max_pool_same"),
    *("global_pools", "mean_of_channels", "mean_of_rows", "concat_scales", "concat_rows"),
    *("split_parts", "split_unequal", "transpose_and_back", "channel_shuffle", "two_inputs"),
    *("two_outputs", "output_inside", "input_twice", "rescaled_input", "lstm", "locally_shared"),
)
ANY_BATCH = ("ds_cnn", "mobilenet_v3_narrow", "channel_shuffle", "conv_1d", "dense_on_sequence")


def recipes() -> dict[str, Callable[[], bytes]]:
    """File name -> maker."""
    made = {f"keras_{name}.onnx": partial(convert, name, 1) for name in NAMES}
    made |= {f"keras_{name}.any_batch.onnx": partial(convert, name, None) for name in ANY_BATCH}
    made |= {f"keras_{name}.nchw.onnx": partial(convert, name, 1, True) for name in ANY_BATCH[:2]}
    assert set(NAMES) <= set(NETWORKS)
    return made


def convert(name: str, batch: int | None, channels_first: bool = False) -> bytes:
    """One network; `channels_first` asks tf2onnx for an NCHW input."""
    keras.backend.clear_session()
    model = build(name)
    signature = [
        tf.TensorSpec((batch, *tensor.shape[1:]), tf.float32, name=f"input_{i}")
        for i, tensor in enumerate(model.inputs)
    ]
    function = tf.function(
        lambda *given: model(list(given) if len(given) > 1 else given[0]),
        input_signature=signature,
    )
    proto, _ = tf2onnx.convert.from_function(
        function,
        input_signature=signature,
        opset=17,
        inputs_as_nchw=["input_0:0", "input_0"] if channels_first else None,
    )
    return proto.SerializeToString()
