"""Images out of a generator: from latent vectors to pixels, grids of them, and ways from one to another."""

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
