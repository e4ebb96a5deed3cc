"""Weights of an earlier run, frozen layers, and their thawing."""

import keras
import numpy as np
import pytest

import kit
from kit import recipes
from kit.errors import KitError, SettingError
from kit.models import vision
from kit.training import transfer
from kit.training.schedules import Lowered

_BACKBONE = {"widths": (8, 16), "depths": (1, 1), "stem": "strided"}


def classifier(**settings):
    return recipes.image_classifier((8, 8, 1), 10, **settings)


def train(folder, optimizer=None, **training):
    settings = {"epochs": 3, "steps_per_epoch": 4, "batch_size": 32, "steps_per_execution": 1} | training
    return kit.train(
        "image_classification",
        folder=folder,
        backbone=_BACKBONE,
        optimizer=optimizer,
        train=settings,
        evaluate={"bootstrap_samples": 20},
        verbose=False,
    )


@pytest.fixture(scope="module")
def earlier_run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "earlier")


def weights_by_layer(model):
    return {path: layer.get_weights() for path, layer in transfer.layers_by_path(model).items()}


def same(first, second):
    return all((one == other).all() for one, other in zip(first, second, strict=True))


def test_frozen_layers_keep_the_weights_they_started_from(earlier_run, tmp_path):
    earlier = weights_by_layer(earlier_run.model)
    run = train(tmp_path / "run", start_from=str(earlier_run.folder), freeze=["resnet8"])
    now = weights_by_layer(run.model)
    assert same(now["resnet8"], earlier["resnet8"]), "batch normalisation statistics too"
    assert not same(now["logits"], earlier["logits"])
    assert run.settings["train"]["start_from"] == str(earlier_run.folder)
    assert all(layer.trainable for layer in transfer.layers_by_path(run.model).values())


def test_frozen_layers_stay_with_averages_of_every_kind(earlier_run, tmp_path):
    earlier = weights_by_layer(earlier_run.model)
    settings = {"start_from": str(earlier_run.folder), "freeze": ["resnet8"], "average_epochs": 2}
    run = train(tmp_path / "run", {"use_ema": True, "ema_momentum": 0.5}, **settings)
    now = weights_by_layer(run.model)
    assert same(now["resnet8"], earlier["resnet8"])
    assert not same(now["logits"], earlier["logits"])


@pytest.mark.slow
def test_keras_does_not_complain_about_thawing(tmp_path, recwarn):
    train(tmp_path / "run", freeze=["resnet8"], unfreeze_epochs=1)
    assert not [warning for warning in recwarn if "trainable" in str(warning.message)]


def test_a_rehearsal_trains_what_the_run_would(monkeypatch):
    seen = []
    fit = keras.Model.fit

    def watched(self, *arguments, **keywords):
        seen.append(len(self.trainable_weights))
        return fit(self, *arguments, **keywords)

    monkeypatch.setattr(keras.Model, "fit", watched)
    settings = {"backbone": _BACKBONE, "verbose": False}
    kit.dry_run("image_classification", train={"freeze": ["resnet8"]}, **settings)
    assert set(seen) == {2}, "kernel and bias of the last layer"


@pytest.mark.slow
def test_classes_of_other_names_are_learned_anew(earlier_run, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8)
    data = {"train": (images, np.arange(200) % 10), "test": (images, np.arange(200) % 10)}
    settings = {"backbone": _BACKBONE, "evaluate": {"bootstrap_samples": 20}, "verbose": False}
    training = {"epochs": 1, "steps_per_epoch": 1, "start_from": str(earlier_run.folder)}
    for names, taken in ((list("0123456789"), True), (list("abcdefghij"), False)):
        folder = tmp_path / names[0]
        kit.train("image_classification", data=data | {"class_names": names}, folder=folder, train=training, **settings)
        assert ("new are logits" in (folder / "run.log").read_text()) != taken


@pytest.mark.slow
def test_the_rate_is_lower_once_layers_are_free(earlier_run, tmp_path):
    settings = {
        "start_from": str(earlier_run.folder),
        "freeze": ["resnet8"],
        "unfreeze_epochs": 1,
        "unfreeze_rate": 0.25,
    }
    constant = {"name": "adam", "schedule": "constant", "learning_rate": 0.008}
    run = train(tmp_path / "run", constant, **settings)
    # The rate after an epoch is that of the next step.
    assert list(run.history["learning_rate"]) == pytest.approx([0.002] * 3)
    with pytest.raises(SettingError, match=r"optimizer\.schedule: 'reduce_on_plateau' goes with train.unfreeze_rate"):
        train(tmp_path / "other", constant | {"schedule": "reduce_on_plateau"}, **settings)


def test_a_lowered_schedule_is_the_same_until_then():
    cosine = keras.optimizers.schedules.CosineDecay(1.0, 10)
    for schedule in (cosine, 0.5):
        lowered = Lowered(schedule, 4, 0.1)
        again = Lowered.from_config(lowered.get_config())
        for step in range(10):
            plain = float(cosine(step)) if schedule is cosine else 0.5
            expected = plain * (0.1 if step >= 4 else 1.0)
            assert float(lowered(step)) == pytest.approx(expected) == float(again(step))


def test_patterns_freeze_a_part(earlier_run, tmp_path):
    earlier = weights_by_layer(earlier_run.model)
    path = earlier_run.folder / "best.keras"
    run = train(tmp_path / "run", start_from=str(path), freeze=["stem*", "stage1*"])
    now = weights_by_layer(run.model)
    for name in now:
        if now[name] and "/" in name:
            assert same(now[name], earlier[name]) == ("stem" in name or "stage1" in name), name


@pytest.mark.slow
def test_groups_thaw_from_the_top(earlier_run, tmp_path):
    run = train(tmp_path / "run", start_from=str(earlier_run.folder), freeze=["resnet8"], unfreeze_epochs=1)
    log = (run.folder / "run.log").read_text()
    assert "epoch 1: 3 of 3 layer groups are frozen; 170 parameters train" in log
    assert "epoch 2: 2 of 3 layer groups are frozen" in log
    assert "epoch 3: 1 of 3 layer groups are frozen" in log
    earlier, now = weights_by_layer(earlier_run.model), weights_by_layer(run.model)
    assert same(now["resnet8/stem_conv"], earlier["resnet8/stem_conv"])
    names = [[layer.name.split("_")[0] for layer in group] for group in transfer.groups(run.model, ["resnet8"])]
    assert [set(group) for group in names] == [{"stem"}, {"stage1"}, {"stage2"}]


def test_layers_of_other_shapes_stay_new(earlier_run):
    backbone = vision.VARIANTS["resnet8"][0]((8, 8, 1), **_BACKBONE, name="resnet8")
    model = recipes.image_classifier((8, 8, 1), 4, backbone=backbone)
    before = weights_by_layer(model)
    assert transfer.start_from(model, earlier_run.model, "earlier") == ["logits"]
    now, earlier = weights_by_layer(model), weights_by_layer(earlier_run.model)
    assert same(now["logits"], before["logits"])
    assert same(now["resnet8"], earlier["resnet8"])
    with pytest.raises(KitError, match="earlier: no layer has the name and the shapes"):
        transfer.start_from(classifier(backbone="mlp"), classifier(backbone="resnet20"), "earlier")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": ["stage9"]}, r"train\.freeze: no layer with weights fits 'stage9'; such are resnet8"),
        ({"freeze": ["scale"]}, r"train\.freeze: no layer with weights fits 'scale'"),
        ({"freeze": ["*"]}, r"train\.freeze: \* leaves nothing to train"),
        ({"start_from": "nowhere"}, r"train\.start_from: no run folder or \.keras file 'nowhere'"),
        ({"unfreeze_epochs": 2}, r"train\.unfreeze_epochs: expected 0 without train\.freeze"),
        ({"freeze": ["stem*"], "unfreeze_epochs": -1}, r"train\.unfreeze_epochs: expected at least 0"),
        ({"freeze": ["stem*"], "unfreeze_epochs": 3}, r"train\.unfreeze_epochs: expected less than the 3 epochs"),
        ({"unfreeze_rate": 0.1}, r"train\.unfreeze_rate: expected 1 without train\.unfreeze_epochs"),
        (
            {"freeze": ["stem*"], "unfreeze_epochs": 1, "unfreeze_rate": 0.0},
            r"train\.unfreeze_rate: expected a number above 0",
        ),
        ({"average_epochs": 1}, r"train\.average_epochs: expected 0, or at least 2"),
        ({"average_epochs": 4}, r"train\.average_epochs: expected at most 3 epochs"),
    ],
)
def test_settings_that_cannot_be(tmp_path, settings, message):
    with pytest.raises(SettingError, match=message):
        train(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_only_free_variables_move_while_the_optimizer_knows_all(earlier_run):
    model = classifier(backbone="mlp")
    model.optimizer.build(model.trainable_variables)
    freeze = transfer.Freeze(model, ("mlp",), 1)
    freeze.set_model(model)
    freeze.on_epoch_begin(0)
    before = weights_by_layer(model)
    images, labels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1)), np.arange(16) % 10
    model.fit(images, labels, verbose=0)
    now = weights_by_layer(model)
    assert same(now["mlp"], before["mlp"])
    assert not same(now["logits"], before["logits"])
    freeze.on_epoch_begin(1)
    model.fit(images, labels, verbose=0)
    last = weights_by_layer(model)
    assert same(last["mlp/stage1"], before["mlp/stage1"])
    assert not same(last["mlp/stage2"], before["mlp/stage2"])
