"""Evidence lower bound of a variational autoencoder, and its importance-weighted bound."""

import keras
import numpy as np

_CALL = 500  # latent vectors that are decoded at once


def evidence(encoder, decoder, nats, inputs, targets, *, draws=1, importance_samples=0, seed=0):
    """Returns what a variational autoencoder says of each image, in nats.

    The evidence lower bound is the mean of `log p(x|z)` over latent vectors drawn from the encoder's Gaussian, less its
    divergence from the prior, which is computed exactly. The tighter bound weighs its draws by importance: Burda,
    Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016.

    Args:
        encoder: Model from images to means and logarithms of variances side by side, (batch, 2 * latent_dim).
        decoder: Model from latent vectors (batch, latent_dim) to pixels.
        nats: Function `(images, pixels) -> (batch,)`: `-log p(x|z)`.
        inputs: Images that are encoded, uint8 (examples, height, width, channels).
        targets: Images whose probability is asked for.
        draws: Latent vectors drawn for each image.
        importance_samples: Latent vectors drawn for each image for the tighter bound; 0 leaves it away.
        seed: Seed of the draws.

    Returns:
        Dictionary of arrays (examples,): `elbo`, `kl`, `reconstruction_nats` and, with importance samples,
        `log_likelihood`; and `means`, (examples, latent_dim).
    """
    random = np.random.default_rng(seed)
    found = {}
    for start in range(0, len(inputs), _CALL):
        rows = slice(start, start + _CALL)
        code = keras.ops.convert_to_numpy(encoder(inputs[rows], training=False)).astype("float64")
        mean, log_variance = np.split(code, 2, axis=-1)
        part = _batch(decoder, nats, targets[rows], mean, log_variance, draws, importance_samples, random)
        for name, values in part.items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def _batch(decoder, nats, images, mean, log_variance, draws, importance_samples, random):
    def drawn():
        noise = random.normal(size=mean.shape)
        latents = (mean + np.exp(0.5 * log_variance) * noise).astype("float32")
        pixels = decoder(latents, training=False)
        return keras.ops.convert_to_numpy(nats(images, pixels)), latents, noise

    divergence = 0.5 * (np.square(mean) + np.exp(log_variance) - 1 - log_variance).sum(1)
    reconstruction = np.mean([drawn()[0] for _ in range(draws)], axis=0)
    found = {
        "elbo": -reconstruction - divergence,
        "kl": divergence,
        "reconstruction_nats": reconstruction,
        "means": mean,
    }
    weights = []
    for _ in range(importance_samples):
        cost, latents, noise = drawn()
        # log p(x|z) + log p(z) - log q(z|x); the constants of the two Gaussians are equal.
        weights.append(-cost - 0.5 * np.square(latents).sum(1) + 0.5 * (np.square(noise) + log_variance).sum(1))
    if weights:
        weights = np.array(weights)  # (draws, examples)
        most = weights.max(0)
        found["log_likelihood"] = most + np.log(np.exp(weights - most).mean(0))
    return found
