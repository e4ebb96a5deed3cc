import numpy as np
import pytest
import scipy.linalg

from kit.scoring import distances


def clouds(seed=0, sizes=(40, 30), channels=5):
    generator = np.random.default_rng(seed)
    first, second = (
        generator.normal(size=(size, channels)) @ generator.normal(size=(channels, channels)) for size in sizes
    )
    return first, second + 0.5


def slow_kernel_distance(real, made):
    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def mean(values):
        return sum(values) / len(values)

    within = [
        mean([kernel(x, y) for i, x in enumerate(cloud) for j, y in enumerate(cloud) if i != j])
        for cloud in (real, made)
    ]
    return sum(within) - 2 * mean([kernel(x, y) for x in real for y in made])


@pytest.mark.parametrize("seed", range(3))
def test_frechet_distance_is_what_the_root_of_the_product_gives(seed):
    real, made = clouds(seed)
    first, second = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    slow = np.square(real.mean(0) - made.mean(0)).sum()
    slow += np.trace(first + second - 2 * scipy.linalg.sqrtm(first @ second).real)
    assert distances.frechet_distance(real, made) == pytest.approx(slow, rel=1e-6)
    assert distances.frechet_distance(real, real) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_fewer_examples_than_channels():
    real, made = clouds(sizes=(4, 3), channels=20)
    assert np.isfinite(distances.frechet_distance(real, made)) and distances.frechet_distance(real, made) > 0


def test_kernel_distance_is_what_a_loop_over_all_pairs_gives():
    real, made = clouds(sizes=(9, 8), channels=3)
    assert distances.kernel_distance(real, made) == pytest.approx(slow_kernel_distance(real, made))


def test_kernel_distance_in_blocks_does_not_mind_the_order():
    generator = np.random.default_rng(0)
    clouds = np.repeat(np.arange(5.0), 400)[:, None] * 10 + generator.normal(size=(2, 2000, 3))
    whole = distances.kernel_distance(*clouds, block=2000)
    noise = abs(distances.kernel_distance(clouds[0], clouds[1] + 1.0, block=2000))
    assert abs(distances.kernel_distance(*clouds, block=500) - whole) < noise / 10


def test_kernel_distance_has_no_bias():
    generator = np.random.default_rng(0)
    found = [distances.kernel_distance(*generator.normal(size=(2, 20, 4))) for _ in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 20


def test_precision_and_recall_of_a_cloud_that_covers_half():
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(300, 2)), generator.normal(size=(300, 2)) + 50
    real = np.concatenate([left, right])
    precision, recall = distances.precision_and_recall(real, left + 1e-3)
    assert precision == 1 and recall == pytest.approx(0.5, abs=0.01)
    precision, recall = distances.precision_and_recall(left, np.concatenate([left + 1e-3, right]))
    assert precision == pytest.approx(0.5, abs=0.01) and recall == 1


def test_inception_score_of_the_extremes():
    assert distances.inception_score(np.eye(4)) == pytest.approx(4)
    assert distances.inception_score(np.full((8, 4), 0.25)) == pytest.approx(1)
    assert distances.inception_score(np.eye(4)[[0, 0, 0]]) == pytest.approx(1)


def test_diversity_of_equal_images_is_none():
    real, _ = clouds()
    assert distances.diversity(np.repeat(real[:1], 10, 0)) == 0
    assert distances.diversity(2 * real) == pytest.approx(2 * distances.diversity(real))
