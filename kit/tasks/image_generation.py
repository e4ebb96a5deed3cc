"""Images out of a generator: from latent vectors to pixels, grids of them, and ways from one to another."""

import contextlib

import keras
import numpy as np

from kit.reporting import samples

# Images in a row; rows are classes where there are such.
COLUMNS = 10


def draw(model, count, seed, num_classes):
    """Returns so many latent vectors and, for a conditional model, a wanted class for each; the same for a seed."""
    generator = np.random.default_rng(seed)
    latents = generator.normal(size=(count, model.inputs[0].shape[-1])).astype("float32")
    return latents, (generator.permutation(count) % num_classes).astype("int32") if len(model.inputs) > 1 else None


def make(model, latents, wanted, batch_size):
    """Returns images of latent vectors, uint8 (count, height, width, channels)."""
    parts = []
    for start in range(0, len(latents), batch_size):
        rows = slice(start, start + batch_size)
        inputs = latents[rows] if wanted is None else [latents[rows], wanted[rows]]
        made = model(inputs, training=False)  # not compiled: a few calls of many shapes
        parts.append(samples.as_pixels(keras.ops.convert_to_numpy(made)))
    return np.concatenate(parts)


def grid(model, num_classes, seed):
    """Returns latent vectors and classes of a grid: a row a class where there are such."""
    rows = min(num_classes, 20) if len(model.inputs) > 1 else 8
    latents, wanted = draw(model, rows * COLUMNS, seed, num_classes)
    return latents, None if wanted is None else np.repeat(np.arange(rows, dtype="int32"), COLUMNS)


def ways(model, num_classes, seed, steps, rows=6):
    """Returns latent vectors on the way from one to another, a row each, and one class for each row.

    On the way a vector keeps its length, since short ones are not what the generator was trained on: White, "Sampling
    Generative Networks", 2016.
    """
    latents, wanted = draw(model, 2 * rows, seed, num_classes)
    shares = np.linspace(0, 1, steps)[None, :, None]
    first, last = latents[:rows, None], latents[rows:, None]
    units = [ends / np.linalg.norm(ends, axis=-1, keepdims=True) for ends in (first, last)]
    angle = np.arccos(np.clip((units[0] * units[1]).sum(-1, keepdims=True), -1, 1))
    straight, sine = (1 - shares) * first + shares * last, np.sin(angle)
    bent = (np.sin((1 - shares) * angle) * first + np.sin(shares * angle) * last) / np.maximum(sine, 1e-3)
    ways = np.where(sine > 1e-2, bent, straight)  # there is no arc between opposite vectors
    ways = ways.reshape(rows * steps, -1).astype("float32")
    return ways, None if wanted is None else np.repeat(wanted[:rows], steps)


def has_styles(model):
    """Returns whether images are made of styles: whether the model has a mapping and a synthesis network."""
    return {"mapping", "truncation", "synthesis"} <= {layer.name for layer in model.layers}


@contextlib.contextmanager
def truncated(model, truncation):
    """For a while, draws a model's styles, if it has such, towards their mean: 1 is not at all, 0 all the way."""
    if not has_styles(model):
        yield
        return
    layer = model.get_layer("truncation")
    before, layer.truncation = layer.truncation, truncation
    try:
        yield
    finally:
        layer.truncation = before


def style_mixing(model, num_classes, seed, count=6):
    """Returns images of two styles each, and those of one style that they come from, as rows of `count + 1` images.

    The first half of the layers, the coarse one, has the style of the row's first image, the rest that of the column's.

    Args:
        model: The generator, with styles.
        num_classes: Number of classes, where it makes images of wanted ones; rows and columns are of classes in turn.
        seed: Seed of the latent vectors.
        count: Number of rows and of columns that are mixed.

    Returns:
        uint8 array ((count + 1) * (count + 1), height, width, channels), the first of them white.
    """
    latents, wanted = draw(model, 2 * count, seed, num_classes)
    mapping, truncation, synthesis = (model.get_layer(name) for name in ("mapping", "truncation", "synthesis"))
    inputs = latents if wanted is None else [latents, np.arange(2 * count, dtype="int32") % num_classes]
    styles = keras.ops.convert_to_numpy(truncation(mapping(inputs, training=False), training=False))
    num_layers = synthesis.inputs[0].shape[1]
    whole = np.repeat(styles[:, None], num_layers, axis=1)  # (2 * count, layers, style_dim)
    rows, columns = whole[:count], whole[count:]
    mixed = np.repeat(rows, count, axis=0)
    mixed[:, (num_layers + 1) // 2 :] = np.tile(columns, (count, 1, 1))[:, (num_layers + 1) // 2 :]
    made = synthesis(np.concatenate([columns, rows, mixed]), training=False)
    pixels = samples.as_pixels(keras.ops.convert_to_numpy(made) * 127.5 + 127.5)
    top, left, inside = np.split(pixels, [count, 2 * count])
    inside = inside.reshape(count, count, *pixels.shape[1:])
    lines = np.concatenate([left[:, None], inside], axis=1)  # (count, count + 1, height, width, channels)
    first = np.concatenate([np.full_like(top[:1], 255), top])[None]
    return np.concatenate([first, lines]).reshape(-1, *pixels.shape[1:])


class Grids(samples.Frames):
    """Writes a grid of samples after each epoch, of the same latent vectors, and at the end an animation of them.

    Args:
        network: The generator.
        num_classes: Number of classes, where it makes images of wanted ones.
        folder: Where they are written.
    """

    def __init__(self, network, num_classes, folder):
        super().__init__(self._grid, folder)
        self.network, self.num_classes = network, num_classes

    def _grid(self):
        return samples.mosaic(make(self.network, *grid(self.network, self.num_classes, 0), 500), COLUMNS)
