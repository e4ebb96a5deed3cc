"""Recommenders, all of the registry: shapes, saving, no look at the future, features, and a network of both sides."""

import keras
import numpy as np
import pytest

from kit import recipes
from kit.blocks.entity_embedding import running_mean
from kit.blocks.pair_scores import Contrast, WideAndDeepScore
from kit.config import facts_of
from kit.data.entity_features import EntityFeatures
from kit.errors import SettingError
from kit.models import recommendation

USERS, ITEMS, TIME = 4, 6, 5
NARROW = {
    "matrix_factorization": {"dropout": 0.0, "dim": 4},
    "two_tower": {"dropout": 0.0, "dim": 4, "hidden_dims": (8,)},
    "wide_and_deep": {"dropout": 0.0, "dim": 4, "hidden_dims": (8, 4)},
    "sequential": {"dropout": 0.0, "dim": 4, "depth": 1, "num_heads": 2, "feedforward_dim": 8},
}
HISTORY = np.array([[0, 7, 1, 2, 3], [0, 0, 0, 7, 6], [7, 1, 2, 3, 4]], "int32")
INPUTS = {"user": np.array([1, 2, 4], "int32"), "history": HISTORY}


def features(entities):
    draw = np.random.default_rng(entities)
    ids = draw.integers(0, 4, (entities + 2, 2)).astype("int32")
    ids[[0, -1]] = 0
    return EntityFeatures(ids, ["a", "b", "c"])


def build(variant, with_features=True, **more):
    function, defaults = recommendation.VARIANTS[variant]
    facts = {"num_users": USERS, "num_items": ITEMS, "max_length": TIME, "user_features": None, "item_features": None}
    if with_features:
        facts |= {"user_features": features(USERS), "item_features": features(ITEMS)}
    facts = [facts[name] for name in facts_of(function)]
    return function(*facts, **defaults | NARROW[function.__name__] | more, name=variant)


def recommender(variant, **settings):
    keras.utils.set_random_seed(0)
    facts = {"user_features": features(USERS), "item_features": features(ITEMS), "max_length": TIME}
    return recipes.recommender(USERS, ITEMS, backbone=lambda: build(variant), **facts, **settings)


@pytest.mark.parametrize("variant", recommendation.VARIANTS)
@pytest.mark.parametrize("with_features", [True, False])
def test_states_and_vectors_are_scored_together_or_one_by_one(variant, with_features):
    towers = build(variant, with_features)
    states, vectors = towers.users(INPUTS), towers.items(np.arange(1, ITEMS + 1)[None])[0]
    together = keras.ops.convert_to_numpy(towers.score(states, vectors))
    assert together.shape == (3, TIME, ITEMS)
    item = keras.ops.take(vectors, np.full((3, TIME), 2), axis=0)
    alone = keras.ops.convert_to_numpy(towers.score(states, item))
    np.testing.assert_allclose(alone, together[..., 2], atol=1e-5)


DECAYED = [(name, {"history_decay": 0.7}) for name in ("matrix_factorization", "two_tower", "wide_and_deep")]


@pytest.mark.parametrize(("variant", "settings"), [*((each, {}) for each in recommendation.VARIANTS), *DECAYED])
def test_no_position_looks_at_a_later_item(variant, settings):
    towers = build(variant, **settings)
    before = keras.ops.convert_to_numpy(towers.users(INPUTS))
    changed = HISTORY.copy()
    changed[:, 3:] = [[5, 5], [5, 4], [6, 6]]
    after = keras.ops.convert_to_numpy(towers.users({**INPUTS, "history": changed}))
    real = HISTORY[:, :3] > 0  # what stands for nothing may see anything: nobody looks at it
    np.testing.assert_allclose(after[:, :3][real], before[:, :3][real], atol=1e-6)
    if variant != "matrix_factorization" or settings:
        assert np.abs(after[:, 4] - before[:, 4]).max() > 1e-6


@pytest.mark.parametrize(("variant", "settings"), DECAYED)
def test_what_fills_a_history_up_changes_nothing(variant, settings):
    towers = build(variant, **settings)
    states = keras.ops.convert_to_numpy(towers.users(INPUTS))
    longer = np.concatenate([np.zeros((3, 2), "int32"), HISTORY], axis=1)
    padded = keras.ops.convert_to_numpy(towers.users({**INPUTS, "history": longer}))
    np.testing.assert_allclose(padded[:, 2:], states, atol=1e-6)


def test_a_decayed_mean_weighs_by_age():
    draw = np.random.default_rng(0)
    x, mask = draw.normal(size=(2, 4, 3)).astype("float32"), np.array([[0, 0, 1, 1], [1, 1, 1, 1]], bool)
    found = keras.ops.convert_to_numpy(running_mean(x, mask, 0.5))
    weights = np.array([1, 2, 4, 8]) / 15
    np.testing.assert_allclose(found[1, 3], weights @ x[1], atol=1e-6)
    np.testing.assert_allclose(found[0, 3], (x[0, 2] + 2 * x[0, 3]) / 3, atol=1e-6)
    np.testing.assert_array_equal(found[0, :2], 0)
    plain = keras.ops.convert_to_numpy(running_mean(x, mask))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(running_mean(x, mask, 1 - 1e-7)), plain, atol=1e-5)
    with pytest.raises(SettingError, match="history_decay: expected a number above 0, at most 1, got 0"):
        build("two_tower", history_decay=0)


@pytest.mark.parametrize("variant", recommendation.VARIANTS)
def test_the_network_is_saved_and_loaded(variant, tmp_path):
    network = recommender(variant).of_parts.network
    scores = network.predict_on_batch(INPUTS)
    assert scores.shape == (3, ITEMS) and np.isfinite(scores).all()
    network.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict_on_batch(INPUTS), scores)


@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        *((variant, {}) for variant in recommendation.VARIANTS),
        *(("two_tower", {"loss": loss}) for loss in ("bpr", "bce")),
        *((variant, {"feedback": "ratings"}) for variant in ("matrix_factorization", "wide_and_deep", "sequential")),
    ],
)
def test_one_batch_is_learned_by_heart(variant, settings):
    model = recommender(variant, optimizer=keras.optimizers.Adam(0.05), **settings)
    model.jit_compile = False
    target = np.array([[0, 1, 2, 3, 4], [0, 0, 0, 6, 5], [1, 2, 3, 4, 5]], "int32")
    inputs = {**INPUTS, "target": target}
    if "feedback" in settings:
        labels = np.where(target > 0, (target % 3 - 1).astype("float32"), -1e9).astype("float32")
    else:
        inputs["pool"] = np.arange(1, ITEMS + 1, dtype="int32")
        labels = np.where(target > 0, 0, -1).astype("int32")
    losses = [float(np.ravel(model.train_on_batch(inputs, labels))[0]) for _ in range(60)]
    assert losses[-1] < 0.8 * losses[0]
    if variant == "sequential" and not settings:  # of the others a history has no order
        best = model.of_parts.network.predict_on_batch(INPUTS).argmax(1) + 1
        assert best.tolist() == target[:, -1].tolist() and losses[-1] < 0.2 * losses[0]


def test_a_wide_and_deep_score_is_a_network_of_both_vectors_side_by_side():
    layer, draw = WideAndDeepScore(2, (3,)), np.random.default_rng(0)
    first = draw.normal(size=(4, 8)).astype("float32")  # a dense layer of two vectors of four numbers
    one, other = draw.normal(size=(1, 1, 4)).astype("float32"), draw.normal(size=(5, 4)).astype("float32")
    hidden = [part @ kernel.T for part, kernel in ((one, first[:, :4]), (other, first[:, 4:]))]
    wide = draw.normal(size=(1, 1, 2)).astype("float32"), draw.normal(size=(5, 2)).astype("float32")
    states, vectors = (np.concatenate(each, -1) for each in zip(wide, hidden, strict=True))
    scores = keras.ops.convert_to_numpy(layer(states, vectors))[0, 0]
    (kernel, bias), (last, end) = (part.get_weights() for part in (layer._dense[0], layer._last))
    both = np.concatenate([np.repeat(one[0], 5, 0), other], 1) @ first.T
    deep = np.maximum(np.maximum(both, 0) @ kernel + bias, 0) @ last + end
    np.testing.assert_allclose(scores, wide[1] @ wide[0][0, 0] + deep[:, 0], atol=1e-5)


def test_sampled_softmax_estimates_the_whole_one():
    """What is drawn by any frequency, corrected by it, has the same sum of powers as all items, in the mean."""
    draw, items, drawn = np.random.default_rng(0), 50, 20_000
    scores, shares = draw.normal(size=items).astype("float32"), draw.dirichlet(np.ones(items))
    pool = draw.choice(items, drawn, p=shares) + 1
    layer, target = Contrast(items + 2), np.array([[7]])
    own, others = scores[None, [6]], scores[pool - 1][None, None]
    layer(own, others, target, pool)
    layer.log_counts.assign(np.concatenate([[0], np.log(drawn * shares), [0]]))
    found = keras.ops.convert_to_numpy(layer(own, others, target, pool))[0, 0]
    assert found[0] == own[0, 0] and (found[1:][pool == 7] == -1e9).all()
    assert np.exp(found).sum() == pytest.approx(np.exp(scores).sum(), rel=0.05)


def test_a_loss_that_does_not_go_with_the_feedback_is_refused():
    with pytest.raises(SettingError, match="loss: expected sampled_softmax, bpr or bce, got 'mse'"):
        recommender("matrix_factorization", loss="mse")
    with pytest.raises(SettingError, match="loss: expected 'mse' of ratings, got 'bpr'"):
        recommender("matrix_factorization", loss="bpr", feedback="ratings")
    with pytest.raises(SettingError, match="backbone: unknown name 'two_towers'; did you mean 'two_tower'"):
        recipes.recommender(4, 6, backbone="two_towers")
