"""Small Keras networks around one construct each: padding, arithmetic, activations.

Importing this file registers them beside the networks of `keras_networks`.
"""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import Model, layers
from keras_networks import as_layer, network, small_image

# Padding.


@network
def pad_zero() -> Model:
    inputs, x = small_image()
    x = layers.ZeroPadding2D(((0, 2), (1, 3)))(x)
    return Model(inputs, layers.Conv2D(6, 3, 2)(x))


@network
def pad_channels() -> Model:
    inputs, x = small_image()
    x = as_layer(lambda t: tf.pad(t, [[0, 0], [0, 0], [0, 0], [2, 2]]), x)
    return Model(inputs, layers.Conv2D(6, 3)(x))


@network
def pad_constant() -> Model:
    inputs, x = small_image()
    x = as_layer(lambda t: tf.pad(t, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-0.7), x)
    return Model(inputs, layers.Conv2D(6, 3)(x))


@network
def pad_lowest_before_max_pool() -> Model:
    inputs, x = small_image()
    x = as_layer(lambda t: tf.pad(t, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-9.0), x)
    return Model(inputs, layers.MaxPooling2D(3, 2)(x))


@network
def pad_mirror() -> Model:
    inputs, x = small_image()
    return Model(
        inputs, as_layer(lambda t: tf.pad(t, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"), x)
    )


# Arithmetic.


@network
def sub_tensors() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Subtract()([x, layers.Conv2D(8, 1)(x)]))


@network
def sub_constant_first() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: 1.0 - t, x))


@network
def add_relu() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.ReLU()(layers.Add()([x, layers.Conv2D(8, 1)(x)])))


@network
def add_relu6() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.ReLU(6.0)(layers.Add()([x, layers.Conv2D(8, 1)(x)])))


@network
def add_scalar_and_channels() -> Model:
    inputs, x = small_image()
    channels = tf.constant([0.1 * i - 0.3 for i in range(8)])
    return Model(inputs, as_layer(lambda t: tf.nn.relu(t) + 0.25 + channels, x))


@network
def add_same_twice() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Add()([x, x]))


@network
def add_three() -> Model:
    inputs, x = small_image()
    return Model(
        inputs, layers.Add()([x, layers.Conv2D(8, 1)(x), layers.Conv2D(8, 3, padding="same")(x)])
    )


@network
def mul_broadcast() -> Model:
    inputs, x = small_image()
    per_channel = layers.GlobalAveragePooling2D(keepdims=True)(x)
    per_pixel = layers.Conv2D(1, 1, activation="sigmoid")(x)
    return Model(inputs, layers.Multiply()([layers.Multiply()([x, per_channel]), per_pixel]))


@network
def mul_constant() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: tf.nn.relu(t) * 0.37, x))


@network
def batch_norm_alone() -> Model:
    inputs, x = small_image()
    x = layers.BatchNormalization()(layers.MaxPooling2D(2)(x))
    return Model(inputs, layers.Conv2D(4, 1)(layers.Activation("relu")(x)))


@network
def div_tensors() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda a, b: a / (tf.abs(b) + 1.0), x, layers.Conv2D(8, 1)(x)))


@network
def maximum_tensors() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Maximum()([x, layers.Conv2D(8, 1)(x)]))


# Activations.


@network
def relu_n1_to_1() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: tf.minimum(tf.maximum(t, -1.0), 1.0), x))


@network
def relu_alone() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.ReLU()(layers.MaxPooling2D(2)(x)))


@network
def relu6_alone() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.ReLU(6.0)(layers.MaxPooling2D(2)(x * 20.0)))


@network
def relu6_shared_input() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Concatenate()([layers.ReLU(6.0)(x), x]))


@network
def relu_first() -> Model:
    inputs = keras.Input((8, 8, 3))
    return Model(inputs, layers.Conv2D(4, 3)(layers.ReLU()(inputs)))


@network
def leaky_relu() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.LeakyReLU(0.1)(x))


@network
def prelu() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.PReLU(shared_axes=[1, 2])(x))


@network
def elu() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.ELU()(x))


@network
def tanh() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Activation("tanh")(x))


@network
def gelu() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Activation("gelu")(x))


@network
def swish() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Activation("swish")(x))


@network
def hard_swish() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Activation("hard_swish")(x))


@network
def hard_sigmoid() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Activation("hard_sigmoid")(x))


@network
def sigmoid_output() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(x)))


@network
def softmax_temperature() -> Model:
    inputs, x = small_image()
    return Model(
        inputs, as_layer(lambda t: tf.nn.softmax(t / 2.5), layers.GlobalAveragePooling2D()(x))
    )


@network
def softmax_per_pixel() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Softmax()(x))


@network
def softmax_one_channel() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Softmax()(layers.Conv2D(1, 3)(x)))


@network
def log_softmax() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(tf.nn.log_softmax, layers.GlobalAveragePooling2D()(x)))
