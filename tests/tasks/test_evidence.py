"""The bounds are measured on a model whose probabilities are known: everything in it is linear and Gaussian."""

import numpy as np
import pytest

from kit.tasks.evidence import evidence
from kit.training.losses import NegativeLogLikelihood

STDDEV, SLOPE = 0.5, np.array([0.6, -0.8, 0.3])


def decoder(latents, training):
    return (255 * np.asarray(latents) @ SLOPE[None]).reshape(-1, 1, 3, 1).astype("float32")


def exact(images):
    x = images.reshape(len(images), 3) / 255
    covariance = STDDEV**2 * np.eye(3) + np.outer(SLOPE, SLOPE)
    quadratic = np.einsum("ni,ij,nj->n", x, np.linalg.inv(covariance), x)
    return -0.5 * (quadratic + np.log(np.linalg.det(2 * np.pi * covariance)))


def encoder(variance_factor=1.0, shift=0.0):
    variance = 1 / (1 + SLOPE @ SLOPE / STDDEV**2)

    def encode(images, training):
        mean = variance * (images.reshape(len(images), 3) / 255) @ SLOPE / STDDEV**2
        log_variance = np.full(len(images), np.log(variance * variance_factor))
        return np.stack([mean + shift, log_variance], 1)

    return encode


IMAGES = np.random.default_rng(0).integers(0, 256, (40, 1, 3, 1)).astype("uint8")
NATS = NegativeLogLikelihood("gaussian", STDDEV, reduction=None)


def test_with_the_exact_posterior_the_bound_is_the_probability():
    found = evidence(encoder(), decoder, NATS, IMAGES, IMAGES, draws=4000, importance_samples=3)
    assert found["elbo"] == pytest.approx(exact(IMAGES), abs=0.06)
    assert found["log_likelihood"] == pytest.approx(exact(IMAGES), abs=1e-3)  # each weight is the same
    assert found["elbo"] == pytest.approx(-found["kl"] - found["reconstruction_nats"])


def test_otherwise_it_is_a_bound_and_importance_samples_make_it_tighter():
    found = evidence(encoder(1.5, 0.3), decoder, NATS, IMAGES, IMAGES, draws=500, importance_samples=500)
    assert (found["elbo"] < exact(IMAGES) - 0.05).all()
    assert found["log_likelihood"] == pytest.approx(exact(IMAGES), abs=0.15)


def test_the_same_seed_gives_the_same():
    first, again, other = (evidence(encoder(), decoder, NATS, IMAGES, IMAGES, seed=seed)["elbo"] for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
