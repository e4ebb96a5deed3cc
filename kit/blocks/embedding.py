"""Embeddings: what turns a word's ids into a vector."""

import keras
from keras import layers, ops

from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class TokenDropout(layers.Layer):
    """Replaces some ids by the unknown one while training, so that its embedding learns to stand for any word.

    Iyyer et al., "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", 2015 (word dropout).

    Args:
        rate: Share of the ids that is replaced, from 0 to below 1; padding never is.
        seed: Seed of the layer's own random numbers.
        unknown_id: Id of unknown words.
        pad_id: Id of padding.

    Shape:
        in, out: (batch, ...) integers

    Raises:
        SettingError: `rate` is out of range.
    """

    def __init__(self, rate, seed=None, unknown_id=1, pad_id=0, **kwargs):
        super().__init__(**kwargs)
        check(0 <= rate < 1, "rate", rate, "a number from 0 to below 1")
        self.rate = rate
        self.seed = seed
        self.unknown_id = unknown_id
        self.pad_id = pad_id
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        uniform = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator)
        is_dropped = ops.logical_and(uniform < self.rate, ops.not_equal(inputs, self.pad_id))
        return ops.where(is_dropped, self.unknown_id, inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"rate": self.rate, "seed": self.seed, "unknown_id": self.unknown_id, "pad_id": self.pad_id}
        return {**super().get_config(), **own}


def token_embedding(
    inputs,
    vocabulary_size,
    *,
    word_dim=64,
    feature_dim=16,
    character_dim=32,
    character_units=64,
    character_encoder="cnn",
    word_dropout=0.0,
    unknown_id=1,
    pad_id=0,
):
    """Puts the embeddings of a word and of its features side by side.

    Args:
        inputs: Feature to symbolic ids: `word`, `characters`, or any other feature with one id a word.
        vocabulary_size: Feature to number of ids.
        word_dim: Width of a word's embedding; 0 leaves words out.
        feature_dim: Width of each other feature's embedding, such as a suffix.
        character_dim: Width of a character's embedding.
        character_units: Width of what is made of a word's characters.
        character_encoder: "cnn" (dos Santos and Zadrozny, 2014): convolutions over three characters and the maximum
            over the word; "lstm" (Lample et al., 2016): the states of an LSTM at both ends.
        word_dropout: Share of the words replaced by the unknown one while training.
        unknown_id: Id of unknown words.
        pad_id: Id of padding, in every feature.

    Shape:
        inputs: each (batch, time); `characters` (batch, time, characters)
        out: (batch, time, dim)
    """
    parts = []
    for name, ids in inputs.items():
        size = vocabulary_size[name]
        if name == "characters":
            parts.append(characters(ids, size, character_dim, character_units, character_encoder, pad_id))
            continue
        dim = word_dim if name == "word" else feature_dim
        if name == "word" and word_dropout:
            ids = TokenDropout(word_dropout, unknown_id=unknown_id, pad_id=pad_id, name="word_dropout")(ids)
        if dim:
            parts.append(layers.Embedding(size, dim, name=f"{name}_embedding")(ids))
    return layers.Concatenate(name="embedding")(parts) if len(parts) > 1 else parts[0]


@keras.saving.register_keras_serializable("kit")
class PerWord(layers.Wrapper):
    """Applies a layer that knows one sequence to each word's characters.

    Keras' `TimeDistributed` needs to know how many words there are.

    Args:
        layer: Layer from (batch, characters, dim) to (batch, units).

    Shape:
        in: (batch, time, characters, dim); `mask` (batch, time, characters), True at real characters
        out: (batch, time, units)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, inputs_shape, mask_shape=None):
        self.layer.build((None, *inputs_shape[2:]))
        self.built = True

    def call(self, inputs, mask=None):
        shape = ops.shape(inputs)
        flat = ops.reshape(inputs, (-1, shape[2], inputs.shape[3]))  # (batch * time, characters, dim)
        outputs = self.layer(flat, mask=ops.reshape(mask, (-1, shape[2])))
        return ops.reshape(outputs, (shape[0], shape[1], outputs.shape[-1]))

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        inner = self.layer.compute_output_shape((None, *inputs_shape[2:]))
        return (*inputs_shape[:2], inner[-1])


def characters(ids, size, dim, units, encoder, pad_id=0):
    """Makes a vector of each word's characters; see `token_embedding`.

    Shape:
        in: (batch, time, characters)
        out: (batch, time, units)
    """
    real = ops.not_equal(ids, pad_id)
    x = layers.Embedding(size, dim, name="characters_embedding")(ids)  # (batch, time, characters, dim)
    if encoder == "lstm":
        # cuDNN refuses words without any character, which padding has.
        both = layers.Bidirectional(layers.LSTM(units // 2, use_cudnn=False, name="lstm"), name="characters_lstm")
        return PerWord(both, name="characters_encoder")(x, mask=real)
    real = ops.expand_dims(real, -1)
    x = x * ops.cast(real, x.dtype)  # zeros beyond the word's end, as beyond its start
    x = layers.Conv2D(units, (1, 3), padding="same", name="characters_cnn")(x)
    # Where there is no character there is nothing to choose from; the activation may come after the maximum.
    return ops.relu(ops.max(ops.where(real, x, -1e9), axis=2))


@keras.saving.register_keras_serializable("kit")
class Bias(layers.Layer):
    """Adds a learned number to each channel, such as to the logits that an embedding gives the other way round.

    Shape:
        in, out: (batch, ..., channels)
    """

    def build(self, input_shape):
        self.bias = self.add_weight((input_shape[-1],), initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs):
        return inputs + ops.cast(self.bias, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
