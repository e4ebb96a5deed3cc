"""Scheduled sampling."""

import keras
import numpy as np
import pytest
from keras import layers

import kit
from kit.errors import SettingError
from kit.training.sampling import SCHEDULES, ScheduledSampling, TeacherForcing, switch_on


def model():
    """A model that always predicts token 5 and never looks at its inputs' values."""
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("source", "target")}
    bias = keras.initializers.Constant(np.eye(6, dtype="float32")[5])
    x = layers.Embedding(6, 4, embeddings_initializer="zeros", name="table")(inputs["target"])
    y = layers.Dense(6, bias_initializer=bias, kernel_initializer="zeros", name="kernel")(x)
    built = TeacherForcing(inputs, y)
    built.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return built


INPUTS = {"source": np.ones((200, 3), "int32"), "target": np.tile(np.array([2, 3, 4, 1, 0, 0], "int32"), (200, 1))}


def test_a_share_of_the_target_is_replaced_but_never_start_or_padding():
    built = model()
    assert (np.asarray(built._mixed(INPUTS)) == INPUTS["target"]).all()
    built.share.rate.assign(0.25)
    mixed = np.asarray(built._mixed(INPUTS))
    assert (mixed[:, 0] == 2).all()
    assert (mixed[:, 4:] == 0).all()
    assert (mixed[:, 1:4] == 5).mean() == pytest.approx(0.25, abs=0.05)
    assert set(np.unique(mixed)) == {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_rise_from_nothing_to_the_rate(schedule):
    callback, built, rates = ScheduledSampling(0.5, schedule, 11), model(), []
    callback.set_model(built)
    for epoch in range(11):
        callback.on_epoch_begin(epoch)
        rates.append(float(built.share.rate.numpy()))
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(0.0, abs=1e-6)
    assert rates[-1] == pytest.approx(0.5)
    short = ScheduledSampling(0.5, schedule, 1)
    short.set_model(built)
    short.on_epoch_begin(0)
    assert float(built.share.rate.numpy()) == pytest.approx(0.5)


def test_training_uses_it():
    for rate, learned in ((0.0, {0, 1, 2, 3, 4}), (1.0, {0, 2, 5})):
        built = model()
        built.get_layer("kernel").kernel.assign(np.ones((4, 6)) * np.arange(6))
        switch_on(built, 0.5)
        built.share.rate.assign(rate)
        built.fit(INPUTS, np.full((200, 6), 3), epochs=1, batch_size=200, verbose=0)
        table = np.asarray(built.get_layer("table").embeddings)
        assert set(np.flatnonzero(np.abs(table).sum(1))) == learned  # the tokens that it saw
        assert built.count_params() == 6 * 4 + 4 * 6 + 6


def test_a_model_that_writes_no_sequences_refuses(tmp_path):
    settings = {"train": {"epochs": 1, "sampling_rate": 0.5}, "verbose": False}
    with pytest.raises(SettingError, match=r"^train\.sampling_rate: expected 0 for a model that writes no sequences"):
        kit.train("image_classification", folder=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
    for key, value in (("sampling_rate", 1.5), ("sampling_schedule", "sudden")):
        with pytest.raises(SettingError, match=rf"^train\.{key}: "):
            kit.train("image_classification", folder=tmp_path / "run", train={key: value}, verbose=False)
