"""Scores of generated images against real ones: Fréchet and kernel distance, inception score, precision, modes."""

import numpy as np
import pandas as pd

from kit.scoring import distances
from kit.scoring.baselines import noise, pca_gaussian
from kit.tasks import inception


def compare(pixels, images, labels, class_names, reference, features="kit", wanted=None):
    """Compares made images with real ones, by the features of a network that knows images.

    The floor is what training images would get in place of made ones; the baselines are a Gaussian fitted to the
    principal components of the training images, and noise.

    Args:
        pixels: Made images, uint8 (count, height, width, channels).
        images: Real ones, uint8 (examples, height, width, channels).
        labels: Classes of the real ones, (examples,).
        class_names: Name of each class.
        reference: `Reference` of the training images.
        features: What distances are measured by: "kit" or "inception". Classes are always told by the former.
        wanted: Class that each made image should be of, or None.

    Returns:
        Metrics by name, and tables.
    """
    count, classes = len(pixels), len(class_names)
    known, answers = reference.features_and_probabilities(pixels)
    real, real_answers = reference.features_and_probabilities(images)
    look, made, floor = reference.features, known, reference.of_training(count)
    if features == "inception":
        look = inception.features
        real, made, floor = (look(each) for each in (images, pixels, reference.some(count)))
    simple = look(pca_gaussian(reference.some(20000), count))
    worst = look(noise(images.shape[1:], count))
    neighbors = min(len(real), len(made)) > 3
    precision, recall = distances.precision_and_recall(some(real, 10000), made) if neighbors else (np.nan, np.nan)
    metrics = {
        "frechet_distance": distances.frechet_distance(real, made),
        "frechet_distance_floor": distances.frechet_distance(real, floor),
        "frechet_distance_pca_gaussian": distances.frechet_distance(real, simple),
        "frechet_distance_noise": distances.frechet_distance(real, worst),
        "kid": distances.kernel_distance(real, made),
        "inception_score": distances.inception_score(answers),
        "precision": precision,
        "recall": recall,
    }
    tables = {}
    if reference.has_classes:
        found = answers.argmax(1)
        real_shares = np.bincount(labels, minlength=classes) / len(labels)
        shares = np.bincount(found, minlength=classes) / count
        metrics |= modes(shares, real_shares)
        metrics["classifier_accuracy"] = (real_answers.argmax(1) == labels).mean()
        if wanted is not None:
            metrics["wanted_class_share"] = (found == wanted).mean()
        tables["1_classes"] = pd.DataFrame({"class": class_names, "real": real_shares, "made": shares})
    metrics = {name: float(value) for name, value in metrics.items() if np.isfinite(value)}
    metrics["sample_size"] = count
    metrics["features"] = {
        "inception": "Inception v3 of keras.applications",
        "kit": f"kit features, of a classifier of {'classes' if reference.has_classes else 'quarter turns'}",
    }[features]
    metrics["scorer"] = "inception-v3" if features == "inception" else reference.fingerprint()
    return metrics, tables


def some(rows, count):
    """Returns so many rows at random, always the same; of what comes class by class the first ones would be of one."""
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:count])]


def modes(shares, real_shares):
    """Returns the number of classes found, each at least a tenth as often as it really is, and the extreme shares."""
    return {
        "modes_covered": int((shares >= np.maximum(real_shares, 1e-9) / 10).sum()),
        "smallest_mode_share": shares.min(),
        "largest_mode_share": shares.max(),
    }
