"""The Keras networks that `make_models` converts: each function builds one, weights by a seed.

The first group are the networks of MLPerf Tiny and common mobile ones, narrowed where the file
would grow large; the second are small networks around one construct each.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import Model, layers

NETWORKS: dict[str, Callable[[], Model]] = {}


def network(function: Callable[[], Model]) -> Callable[[], Model]:
    """Register a network under its function's name."""
    NETWORKS[function.__name__] = function
    return function


def build(name: str) -> Model:
    """The network with seeded weights and statistics like those of a trained one."""
    keras.utils.set_random_seed(7)
    model = NETWORKS[name]()
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape
            layer.gamma.assign(rng.uniform(0.5, 1.5, size))
            layer.beta.assign(rng.normal(0, 0.3, size))
            layer.moving_mean.assign(rng.normal(0, 0.3, size))
            layer.moving_variance.assign(rng.uniform(0.5, 2, size))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    return model


def as_layer(function, *tensors):
    """A TensorFlow function as a layer."""
    return layers.Lambda(lambda given: function(*given) if len(tensors) > 1 else function(given))(
        list(tensors) if len(tensors) > 1 else tensors[0]
    )


def small_image(channels: int = 4, size: int = 12):
    """An input and a first convolution, so that scales differ from node to node."""
    inputs = keras.Input((size, size, channels))
    return inputs, layers.Conv2D(8, 3, padding="same")(inputs)


def _conv(x, filters, kernel, stride=1, activation="relu", **options):
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, **options)(x)
    return _activated(layers.BatchNormalization()(x), activation)


def _depthwise(x, kernel, stride=1, activation="relu", **options):
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, **options)(x)
    return _activated(layers.BatchNormalization()(x), activation)


def _activated(x, activation):
    if activation == "hard_swish":
        return layers.Multiply()([x, _hard_sigmoid(x)])
    if activation == "relu6":
        return layers.ReLU(6.0)(x)
    return layers.Activation(activation)(x) if activation else x


def _hard_sigmoid(x):
    return layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)


def _gate(x, squeezed, inner="relu", outer=_hard_sigmoid):
    """Squeeze and excitation, as keras.applications writes it."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(squeezed, 1, activation=inner)(gate)
    gate = layers.Conv2D(channels, 1)(gate)
    return layers.Multiply()([x, outer(gate)])


# The networks of MLPerf Tiny.


@network
def ds_cnn() -> Model:
    inputs = keras.Input((49, 10, 1))
    x = _conv(inputs, 64, (10, 4), 2)
    x = layers.Dropout(0.2)(x)
    for _ in range(4):
        x = _conv(_depthwise(x, 3), 64, 1)
    x = layers.Dropout(0.4)(x)
    x = layers.AveragePooling2D(x.shape[1:3])(x)
    return Model(inputs, layers.Dense(12, activation="softmax")(layers.Flatten()(x)))


@network
def resnet_8() -> Model:
    inputs = keras.Input((32, 32, 3))
    x = _conv(inputs, 16, 3)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        y = _conv(_conv(x, filters, 3, stride), filters, 3, activation=None)
        if stride > 1:
            x = layers.Conv2D(filters, 1, stride, "same")(x)
        x = layers.Activation("relu")(layers.add([x, y]))
    x = layers.AveragePooling2D(8)(x)
    return Model(inputs, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))


def _autoencoder(width: int) -> Model:
    x = inputs = keras.Input((640,))
    for size in (*(width,) * 4, 8, *(width,) * 4):
        x = layers.Activation("relu")(layers.BatchNormalization()(layers.Dense(size)(x)))
    return Model(inputs, layers.Dense(640)(x))


@network
def autoencoder() -> Model:
    return _autoencoder(128)


@network
def autoencoder_narrow() -> Model:
    return _autoencoder(8)


def _mobilenet_v1(alpha: float, size: int) -> Model:
    inputs = keras.Input((size, size, 3))
    x = _conv(inputs, int(32 * alpha), 3, 2, "relu6")
    blocks = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
    for filters, stride in (*blocks, *((512, 1),) * 5, (1024, 2), (1024, 1)):
        x = _conv(_depthwise(x, 3, stride, "relu6"), int(filters * alpha), 1, 1, "relu6")
    x = layers.AveragePooling2D(x.shape[1:3])(x)
    return Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(x)))


@network
def mobilenet_v1_96() -> Model:
    return _mobilenet_v1(0.25, 96)


@network
def mobilenet_v1_narrow() -> Model:
    return _mobilenet_v1(0.0625, 48)


# As keras.applications has them: ZeroPadding2D before stride 2, hard-swish spelled out.


@network
def mobilenet_v2_application() -> Model:
    return keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=10)


@network
def mobilenet_v3_application() -> Model:
    return keras.applications.MobileNetV3Small(
        (96, 96, 3), alpha=0.35, weights=None, classes=10, include_preprocessing=False
    )


@network
def mobilenet_v3_preprocessing() -> Model:
    return keras.applications.MobileNetV3Small(
        (64, 64, 3), alpha=0.35, weights=None, classes=10, minimalistic=True
    )


@network
def efficientnet_application() -> Model:
    return keras.applications.EfficientNetV2B0(
        input_shape=(64, 64, 3), weights=None, classes=10, include_preprocessing=False
    )


@network
def densenet_application() -> Model:
    return keras.applications.DenseNet121(input_shape=(64, 64, 3), weights=None, classes=10)


@network
def nasnet_application() -> Model:
    return keras.applications.NASNetMobile(input_shape=(64, 64, 3), weights=None, classes=10)


@network
def xception_application() -> Model:
    return keras.applications.Xception(input_shape=(71, 71, 3), weights=None, classes=10)


@network
def mobilenet_v2_narrow() -> Model:
    inputs = keras.Input((48, 48, 3))
    x = _conv(inputs, 8, 3, 2, "relu6")
    for filters, stride, expansion in ((8, 1, 1), (12, 2, 4), (12, 1, 4), (16, 2, 6), (16, 1, 6)):
        y = _conv(x, x.shape[-1] * expansion, 1, 1, "relu6")
        if stride == 2:
            y = layers.ZeroPadding2D(keras.src.applications.imagenet_utils.correct_pad(y, 3))(y)
            y = layers.DepthwiseConv2D(3, 2, "valid", use_bias=False)(y)
            y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        else:
            y = _depthwise(y, 3, 1, "relu6")
        y = _conv(y, filters, 1, activation=None)
        x = layers.Add()([x, y]) if x.shape == y.shape else y
    x = layers.GlobalAveragePooling2D()(_conv(x, 64, 1, 1, "relu6"))
    return Model(inputs, layers.Dense(10)(x))


@network
def mobilenet_v3_narrow() -> Model:
    inputs = keras.Input((48, 48, 3))
    x = _conv(inputs, 8, 3, 2, "hard_swish")
    rows = ((8, 16, 3, 2, True, "relu"), (12, 40, 3, 2, False, "relu"))
    rows += ((12, 40, 3, 1, False, "relu"), (16, 48, 5, 2, True, "hard_swish"))
    for filters, expanded, kernel, stride, gated, activation in (
        *rows,
        (16, 48, 5, 1, *rows[3][4:]),
    ):
        y = _depthwise(_conv(x, expanded, 1, 1, activation), kernel, stride, activation)
        y = _gate(y, expanded // 4) if gated else y
        y = _conv(y, filters, 1, activation=None)
        x = layers.Add()([x, y]) if x.shape == y.shape else y
    x = _conv(x, 64, 1, 1, "hard_swish")
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = _activated(layers.Conv2D(64, 1)(x), "hard_swish")
    x = layers.Flatten()(layers.Conv2D(10, 1)(x))
    return Model(inputs, layers.Activation("softmax")(x))


@network
def efficientnet_narrow() -> Model:
    inputs = keras.Input((40, 40, 3))
    x = _conv(inputs, 8, 3, 2, "swish")
    for filters, kernel, stride in ((8, 3, 1), (16, 5, 2), (16, 5, 1), (24, 3, 2)):
        y = _depthwise(_conv(x, x.shape[-1] * 4, 1, 1, "swish"), kernel, stride, "swish")
        y = _gate(y, 4, "swish", layers.Activation("sigmoid"))
        y = _conv(y, filters, 1, activation=None)
        x = layers.Add()([x, y]) if x.shape == y.shape else y
    x = layers.GlobalAveragePooling2D()(_conv(x, 48, 1, 1, "swish"))
    return Model(inputs, layers.Dense(10, activation="softmax")(x))


@network
def squeezenet_like() -> Model:
    inputs = keras.Input((33, 33, 3))
    x = layers.Conv2D(16, 3, 2, activation="relu")(inputs)
    x = layers.MaxPooling2D(3, 2)(x)
    for squeezed, expanded in ((4, 16), (6, 24)):
        x = layers.Conv2D(squeezed, 1, activation="relu")(x)
        parts = [layers.Conv2D(expanded, k, padding="same", activation="relu")(x) for k in (1, 3)]
        x = layers.Concatenate()(parts)
    x = layers.Conv2D(10, 1, activation="relu")(x)
    return Model(inputs, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))


@network
def densenet_like() -> Model:
    inputs = keras.Input((24, 24, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    for _ in range(2):
        for _ in range(3):
            y = layers.Activation("relu")(layers.BatchNormalization()(x))
            x = layers.Concatenate()([x, layers.Conv2D(6, 3, padding="same", use_bias=False)(y)])
        x = _conv(x, 12, 1)
        x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))
    return Model(inputs, layers.Dense(10)(x))


@network
def unet_skip() -> Model:
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    y = layers.Conv2D(16, 3, 2, "same", activation="relu")(x)
    y = layers.UpSampling2D(2)(y)
    return Model(inputs, layers.Conv2D(4, 1)(layers.Concatenate()([x, y])))
