"""Small Keras networks around one construct each: layers, moved values, inputs and outputs.

Importing this file registers them beside the networks of `keras_networks`.
"""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import Model, layers
from keras_networks import as_layer, network, small_image

# Convolutions.


@network
def conv_without_bias() -> Model:
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, (3, 5), (2, 1), use_bias=False)(inputs)
    return Model(inputs, layers.Dense(5, use_bias=False)(layers.Flatten()(x)))


@network
def conv_dilated() -> Model:
    inputs, x = small_image()
    x = layers.Conv2D(6, 3, padding="same", dilation_rate=2, activation="relu")(x)
    return Model(inputs, layers.Conv2D(6, 3, dilation_rate=(2, 1))(x))


@network
def depthwise_dilated() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x))


@network
def depthwise_multiplier() -> Model:
    inputs, x = small_image()
    x = layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2, activation="relu")(x)
    return Model(inputs, layers.DepthwiseConv2D((1, 3), depth_multiplier=3)(x))


@network
def depthwise_one_channel() -> Model:
    inputs = keras.Input((12, 12, 1))
    return Model(inputs, layers.DepthwiseConv2D(5, 2, depth_multiplier=8)(inputs))


@network
def separable() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.SeparableConv2D(12, 3, padding="same", activation="relu6")(x))


@network
def conv_grouped() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Conv2D(12, 3, groups=4, padding="same")(x))


@network
def conv_1d() -> Model:
    inputs = keras.Input((64, 3))
    x = layers.Conv1D(8, 5, 2, "same", activation="relu")(inputs)
    x = layers.MaxPooling1D(2)(layers.Conv1D(12, 3, activation="relu")(x))
    return Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


@network
def conv_1d_dilated() -> Model:
    inputs = keras.Input((64, 3))
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="relu")(inputs)
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=4)(x)
    return Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


@network
def conv_1d_depthwise() -> Model:
    inputs = keras.Input((40, 6))
    x = layers.SeparableConv1D(8, 5, padding="same", activation="relu")(inputs)
    return Model(inputs, layers.AveragePooling1D(4)(x))


@network
def conv_transposed() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Conv2DTranspose(4, 3, 2, "same")(x))


@network
def conv_3d() -> Model:
    inputs = keras.Input((6, 6, 6, 2))
    return Model(inputs, layers.Conv3D(4, 3)(inputs))


@network
def locally_shared() -> Model:
    """One layer applied twice: its weights are one buffer, its biases two."""
    inputs, x = small_image(8)
    shared = layers.Conv2D(8, 3, padding="same", activation="relu")
    dense = layers.Dense(8, activation="relu")
    y = dense(layers.GlobalAveragePooling2D()(shared(shared(x))))
    return Model(inputs, dense(y))


@network
def dense_on_pixels() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Dense(5, activation="relu")(x))


@network
def dense_on_sequence() -> Model:
    inputs = keras.Input((10, 6))
    return Model(inputs, layers.Dense(4)(layers.Dense(8, activation="relu")(inputs)))


# Pools.


@network
def average_pool_same() -> Model:
    inputs, x = small_image(size=13)
    x = layers.AveragePooling2D(3, 2, "same")(x)
    return Model(inputs, layers.AveragePooling2D((2, 3), 1, "same")(x))


@network
def max_pool_same() -> Model:
    inputs, x = small_image(size=13)
    return Model(inputs, layers.MaxPooling2D(3, 2, "same")(x))


@network
def global_pools() -> Model:
    inputs, x = small_image()
    average = layers.GlobalAveragePooling2D()(x)
    return Model(inputs, layers.Concatenate()([average, layers.GlobalMaxPooling2D()(x)]))


@network
def mean_of_channels() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: tf.reduce_mean(t, -1, keepdims=True), x))


@network
def mean_of_rows() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: tf.reduce_mean(t, 1), x))


@network
def sum_of_pixels() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: tf.reduce_sum(t, [1, 2]), x))


# Moving values.


@network
def concat_scales() -> Model:
    inputs, x = small_image()
    parts = [x, layers.MaxPooling2D(1)(x), layers.Conv2D(4, 1, activation="relu")(x), x * 30.0]
    return Model(inputs, layers.Conv2D(4, 1)(layers.Concatenate()(parts)))


@network
def concat_rows() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.Concatenate(axis=1)([x, layers.ReLU()(x)]))


@network
def concat_constant() -> Model:
    inputs, x = small_image()
    extra = tf.ones((1, 12, 12, 2)) * 0.4
    return Model(inputs, as_layer(lambda t: tf.concat([t, extra], -1), x))


@network
def split_parts() -> Model:
    inputs, x = small_image()
    a, b = as_layer(lambda t: tf.split(t, 2, -1), x)
    return Model(inputs, layers.Concatenate()([layers.ReLU()(b), layers.Conv2D(4, 1)(a)]))


@network
def split_unequal() -> Model:
    inputs, x = small_image()
    a, b = as_layer(lambda t: tf.split(t, [3, 5], -1), x)
    return Model(inputs, [a, b])


@network
def transpose_and_back() -> Model:
    inputs, x = small_image()
    x = layers.Permute((3, 1, 2))(x)
    return Model(inputs, layers.Permute((2, 3, 1))(layers.ReLU()(x)))


@network
def channel_shuffle() -> Model:
    inputs, x = small_image()
    x = layers.Permute((1, 2, 4, 3))(layers.Reshape((12, 12, 2, 4))(x))
    return Model(inputs, layers.Conv2D(8, 1)(layers.Reshape((12, 12, 8))(x)))


@network
def expand_and_squeeze() -> Model:
    inputs = keras.Input((20, 6))
    x = as_layer(lambda t: tf.expand_dims(t, 1), inputs)
    x = layers.Conv2D(6, (1, 3))(x)
    return Model(inputs, as_layer(lambda t: tf.squeeze(t, 1), x))


@network
def reshape_rank_5() -> Model:
    inputs, x = small_image()
    x = layers.Reshape((3, 4, 3, 4, 8))(x)
    return Model(inputs, layers.Permute((1, 3, 2, 4, 5))(x))


@network
def strided_slice() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: t[:, 1:9, ::2, :], x))


@network
def gather() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: tf.gather(t, [3, 1, 0], axis=-1), x))


@network
def resize_bilinear() -> Model:
    inputs, x = small_image()
    return Model(inputs, layers.UpSampling2D(2, interpolation="bilinear")(x))


@network
def argmax() -> Model:
    inputs, x = small_image()
    return Model(inputs, as_layer(lambda t: tf.argmax(t, -1), layers.GlobalAveragePooling2D()(x)))


# The border.


@network
def two_inputs() -> Model:
    image, vector = keras.Input((12, 12, 3), name="image"), keras.Input((6,), name="vector")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(image))
    x = layers.Concatenate()([x, layers.Dense(4, activation="relu")(vector)])
    return Model([image, vector], layers.Dense(3)(x))


@network
def two_outputs() -> Model:
    inputs, x = small_image()
    y = layers.GlobalAveragePooling2D()(x)
    heads = [layers.Dense(3, activation="softmax", name="kind")(y), layers.Dense(4, name="box")(y)]
    return Model(inputs, heads)


@network
def output_inside() -> Model:
    """An output that other nodes read too."""
    inputs, x = small_image()
    return Model(inputs, [x, layers.Conv2D(4, 1)(x)])


@network
def input_twice() -> Model:
    inputs = keras.Input((12, 12, 4))
    return Model(inputs, layers.Add()([inputs, layers.Conv2D(4, 3, padding="same")(inputs)]))


@network
def rescaled_input() -> Model:
    inputs = keras.Input((12, 12, 3))
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    return Model(inputs, layers.Conv2D(4, 3)(x))


@network
def lstm() -> Model:
    inputs = keras.Input((8, 5))
    return Model(inputs, layers.Dense(3)(layers.LSTM(6)(inputs)))


@network
def gru_unrolled() -> Model:
    inputs = keras.Input((4, 5))
    return Model(inputs, layers.Dense(3)(layers.GRU(6, unroll=True)(inputs)))


@network
def attention() -> Model:
    inputs = keras.Input((8, 12))
    return Model(inputs, layers.MultiHeadAttention(2, 6)(inputs, inputs))


@network
def layer_norm() -> Model:
    inputs = keras.Input((8, 12))
    return Model(inputs, layers.LayerNormalization()(inputs))
