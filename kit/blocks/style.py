"""StyleGAN blocks: mapping to styles, modulated convolutions, noise, style mixing, truncation.

Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019; Karras, Laine,
Aittala, Hellsten, Lehtinen and Aila, "Analyzing and Improving the Image Quality of StyleGAN", 2020.
"""

import math

import keras
from keras import layers, ops
from keras.config import floatx

from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class EqualizedDense(layers.Layer):
    """A dense layer and its leaky ReLU, whose weights take smaller steps than those of other layers.

    Weights are kept large and made small as they are used, so that optimizers like Adam, whose steps are of one length
    whatever the gradient's, move them by the smaller share: Karras, Aila, Laine and Lehtinen, "Progressive Growing of
    GANs", 2018, section 4.1; with a multiplier of the learning rate: Karras et al., 2019, section C.

    Args:
        units: Width of the output.
        rate: Multiplier of the learning rate.

    Shape:
        in: (batch, channels)
        out: (batch, units)

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(self, units, rate=1.0, **kwargs):
        super().__init__(**kwargs)
        check(units >= 1, "units", units, "at least 1")
        check(rate > 0, "rate", rate, "above 0")
        self.units, self.rate = units, rate

    def build(self, input_shape):
        large = keras.initializers.RandomNormal(stddev=1 / self.rate)
        self.kernel = self.add_weight((input_shape[-1], self.units), initializer=large, name="kernel")
        self.bias = self.add_weight((self.units,), initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs):
        kernel = ops.cast(self.kernel, inputs.dtype) * (self.rate / math.sqrt(inputs.shape[-1]))
        x = ops.matmul(inputs, kernel) + ops.cast(self.bias, inputs.dtype) * self.rate
        return ops.leaky_relu(x, 0.2) * math.sqrt(2)  # as much variance as there was before the ReLU

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rate": self.rate}


@keras.saving.register_keras_serializable("kit")
class Modulation(layers.Layer):
    """Scales each channel of a map by a number that is learned from the style.

    Shape:
        in: (batch, height, width, channels) and (batch, style_dim)
        out: (batch, height, width, channels)
    """

    def build(self, input_shape):
        (*_, channels), (*_, style_dim) = input_shape
        spread = keras.initializers.RandomNormal(stddev=1 / math.sqrt(style_dim))
        self.style_kernel = self.add_weight((style_dim, channels), initializer=spread, name="style_kernel")
        self.style_bias = self.add_weight((channels,), initializer="ones", name="style_bias")
        self.built = True

    def scales(self, style):
        """Returns the factor of each channel, (batch, channels)."""
        return ops.matmul(style, ops.cast(self.style_kernel, style.dtype)) + ops.cast(self.style_bias, style.dtype)

    def call(self, inputs):
        x, style = inputs
        return x * self.scales(style)[:, None, None]

    def compute_output_shape(self, input_shape):
        return input_shape[0]


@keras.saving.register_keras_serializable("kit")
class ModulatedConvolution(Modulation):
    """A convolution whose kernel each example's style scales: by input channel and, so that no scale grows, back.

    Karras et al., 2020, section 2.2. An example's own kernel is never made: channels are scaled before the shared
    kernel and, for what the paper calls demodulation, after it, which comes to the same.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the kernel, in pixels.
        upsample: Double height and width, by a transposed convolution with a stride of 2; for an even `kernel_size`.
        demodulate: Divide each example's kernels by their norm, for outputs that vary as much as the inputs do.
        gain: Factor of the output, for a ReLU that takes variance away.

    Shape:
        in: (batch, height, width, channels) and (batch, style_dim)
        out: (batch, height, width, filters), or twice as high and wide

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(self, filters, kernel_size=3, *, upsample=False, demodulate=True, gain=1.0, **kwargs):
        super().__init__(**kwargs)
        check(filters >= 1, "filters", filters, "at least 1")
        check(kernel_size >= 1, "kernel_size", kernel_size, "at least 1")
        self.filters, self.kernel_size, self.upsample = filters, kernel_size, upsample
        self.demodulate, self.gain = demodulate, gain

    def build(self, input_shape):
        super().build(input_shape)
        channels = input_shape[0][-1]
        # A pixel of a map that was doubled has met a quarter of the kernel.
        self._share = 0.25 if self.upsample else 1.0
        start = keras.initializers.RandomNormal(stddev=1 / math.sqrt(channels * self.kernel_size**2 * self._share))
        ends = (self.filters, channels) if self.upsample else (channels, self.filters)
        self.kernel = self.add_weight((self.kernel_size, self.kernel_size, *ends), initializer=start, name="kernel")
        self.bias = self.add_weight((self.filters,), initializer="zeros", name="bias")

    def call(self, inputs):
        x, style = inputs
        scales, kernel = self.scales(style), ops.cast(self.kernel, x.dtype)
        x = x * scales[:, None, None]
        if self.upsample:
            x = ops.conv_transpose(x, kernel, strides=2, padding="same")
        else:
            x = ops.conv(x, kernel, padding="same")
        factor = self.gain
        if self.demodulate:
            squares = ops.sum(ops.square(kernel), axis=(0, 1))
            squares = ops.transpose(squares) if self.upsample else squares  # (channels, filters)
            norms = ops.matmul(ops.square(scales), squares * self._share)  # (batch, filters)
            factor = factor * ops.rsqrt(norms + 1e-8)[:, None, None]
        return x * factor + ops.cast(self.bias, x.dtype)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape[0]
        if self.upsample:
            height, width = 2 * height, 2 * width
        return batch, height, width, self.filters

    def get_config(self):
        own = {"filters": self.filters, "kernel_size": self.kernel_size, "upsample": self.upsample}
        return {**super().get_config(), **own, "demodulate": self.demodulate, "gain": self.gain}


@keras.saving.register_keras_serializable("kit")
class LearnedMap(layers.Layer):
    """A feature map that is learned and the same for every example: what a generator of styles begins with.

    Args:
        height, width: Size of the map, in pixels.
        filters: Number of its channels.

    Shape:
        in: (batch, ...), of which only the number of examples matters
        out: (batch, height, width, filters)

    Raises:
        SettingError: a number is below 1.
    """

    def __init__(self, height, width, filters, **kwargs):
        super().__init__(**kwargs)
        for key, value in (("height", height), ("width", width), ("filters", filters)):
            check(value >= 1, key, value, "at least 1")
        self.height, self.width, self.filters = height, width, filters

    def build(self, input_shape):
        start = keras.initializers.RandomNormal(stddev=1.0)
        self.map = self.add_weight((1, self.height, self.width, self.filters), initializer=start, name="map")
        self.built = True

    def call(self, inputs):
        shape = (ops.shape(inputs)[0], self.height, self.width, self.filters)
        return ops.broadcast_to(ops.cast(self.map, self.compute_dtype), shape)

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.height, self.width, self.filters

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width, "filters": self.filters}


@keras.saving.register_keras_serializable("kit")
class NoiseInjection(layers.Layer):
    """Adds noise of a learned strength, one number a pixel, for details that no style has to describe.

    Karras et al., 2019, section 3.2. While training it is new for every example; otherwise it is one that never
    changes and is saved with the weights, so that a latent vector has one image.

    Args:
        seed: Seed of the layer's own random numbers.

    Shape:
        in, out: (batch, height, width, channels)
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        normal = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        self.strength = self.add_weight((), initializer="zeros", name="strength")
        self.noise = self.add_weight((1, *input_shape[1:3], 1), initializer=normal, trainable=False, name="noise")
        self.built = True

    def call(self, inputs, training=False):
        noise = ops.cast(self.noise, inputs.dtype)
        if training:
            shape = (*ops.shape(inputs)[:3], 1)
            noise = keras.random.normal(shape, dtype=inputs.dtype, seed=self.seed_generator)
        return inputs + ops.cast(self.strength, inputs.dtype) * noise

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("kit")
class Truncation(layers.Layer):
    """Draws styles towards their mean, which gives up variety for quality; while training it learns that mean.

    Karras et al., 2019, section B: `mean + truncation * (style - mean)`.

    Args:
        truncation: 1 leaves styles as they are, 0 makes the mean of each; may be changed at any time.
        momentum: Share of its former value that the moving mean keeps in a step of training.

    Shape:
        in, out: (batch, style_dim)

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(self, truncation=1.0, momentum=0.99, **kwargs):
        super().__init__(**kwargs)
        check(truncation >= 0, "truncation", truncation, "at least 0")
        check(0 <= momentum < 1, "momentum", momentum, "a number from 0 to below 1")
        self.truncation, self.momentum = truncation, momentum

    def build(self, input_shape):
        self.mean = self.add_weight((input_shape[-1],), initializer="zeros", trainable=False, name="mean")
        self.built = True

    def call(self, inputs, training=False):
        if training:
            found = ops.mean(ops.cast(ops.stop_gradient(inputs), self.mean.dtype), axis=0)
            self.mean.assign(self.mean + (1.0 - self.momentum) * (found - self.mean))
            return inputs
        if self.truncation == 1:
            return inputs
        mean = ops.cast(self.mean, inputs.dtype)
        return mean + self.truncation * (inputs - mean)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "truncation": self.truncation, "momentum": self.momentum}


@keras.saving.register_keras_serializable("kit")
class Rolled(layers.Layer):
    """While training, puts each example in the place of the one before, and the first one in that of the last.

    Shape:
        in, out: (batch, ...)
    """

    def call(self, inputs, training=False):
        return ops.concatenate([inputs[1:], inputs[:1]], axis=0) if training else inputs

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("kit")
class StyleMixing(layers.Layer):
    """Hands a style to each layer; while training, some of the examples take a second one from some layer on.

    Karras et al., 2019, section 3.1: no layer can then rely on what the others were told.

    Args:
        num_layers: Number of layers that get a style.
        rate: Probability that an example gets two.
        seed: Seed of the layer's own random numbers.

    Shape:
        in: (batch, style_dim), and the second styles, equally many
        out: (batch, num_layers, style_dim)

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(self, num_layers, rate=0.9, seed=None, **kwargs):
        super().__init__(**kwargs)
        check(num_layers >= 1, "num_layers", num_layers, "at least 1")
        check(0 <= rate <= 1, "rate", rate, "a number from 0 to 1")
        self.num_layers, self.rate, self.seed = num_layers, rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=False):
        first, second = (ops.repeat(style[:, None], self.num_layers, axis=1) for style in inputs)
        if not training or self.rate == 0 or self.num_layers == 1:
            return first
        batch = ops.shape(first)[0]
        begins = keras.random.randint((batch, 1), 1, self.num_layers, seed=self.seed_generator)
        is_mixed = keras.random.uniform((batch, 1), seed=self.seed_generator) < self.rate
        numbers = ops.arange(self.num_layers, dtype="int32")[None]
        is_second = ops.logical_and(is_mixed, numbers >= begins)  # (batch, num_layers)
        return ops.where(is_second[..., None], second, first)

    def compute_output_shape(self, input_shape):
        batch, style_dim = input_shape[0]
        return batch, self.num_layers, style_dim

    def get_config(self):
        return {**super().get_config(), "num_layers": self.num_layers, "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable("kit")
class BatchDeviation(layers.Layer):
    """Adds a channel that says how much the examples of the batch differ, by which a collapse shows.

    Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs", 2018, section 3: the standard deviation of each
    number over the batch, averaged to a single one.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height, width, channels + 1)
    """

    def call(self, inputs):
        x = ops.cast(inputs, floatx())
        # The square root has no slope at 0, where all examples are equal.
        deviation = ops.mean(ops.sqrt(ops.var(x, axis=0) + 1e-8))
        shape = (*ops.shape(inputs)[:3], 1)
        return ops.concatenate([inputs, ops.broadcast_to(ops.cast(deviation, inputs.dtype), shape)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)


def styled(x, style, filters, *, upsample=False, name):
    """A layer of a generator of styles: a modulated convolution, noise and a leaky ReLU.

    Args:
        x: Feature map.
        style: Style of the layer.
        filters: Number of output channels.
        upsample: Double height and width.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels) and (batch, style_dim)
        out: (batch, height, width, filters), or twice as high and wide
    """
    size = 4 if upsample else 3  # with a stride of 2 an even kernel leaves no chequered pattern
    convolution = ModulatedConvolution(filters, size, upsample=upsample, gain=math.sqrt(2), name=f"{name}_convolution")
    x = NoiseInjection(name=f"{name}_noise")(convolution([x, style]))
    return layers.LeakyReLU(0.2, name=name)(x)
