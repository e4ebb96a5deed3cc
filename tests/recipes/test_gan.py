import keras
import numpy as np
import pytest
from PIL import Image

import kit
from kit import cli, recipes
from kit.errors import KitError, SettingError
from kit.files import read_json
from kit.runs import settings as schema
from kit.tasks import image_generation as generated

SMALL = {
    "backbone": {"widths": [16, 8]},
    "train": {"epochs": 2, "steps_per_epoch": 4},
    "evaluate": {"num_samples": 200},
}


@pytest.fixture(scope="module", autouse=True)
def quick_classifier():
    """Scores by a classifier that is trained less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kit.tasks.image_features._STEPS", 100)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "conditional"
    return kit.train("gan", folder=folder, model={"conditional": True}, verbose=False, **SMALL)


def test_the_run_folder_has_scores_samples_and_a_page(run):
    test = read_json(run.folder / "metrics.json")["test"]
    assert {
        *("frechet_distance", "frechet_distance_floor", "frechet_distance_pca_gaussian", "frechet_distance_noise"),
        *("kid", "modes_covered", "smallest_mode_share", "largest_mode_share", "precision", "recall", "sample_size"),
    } <= set(test)
    assert test["frechet_distance_floor"] < test["frechet_distance_pca_gaussian"] < test["frechet_distance_noise"]
    assert test["sample_size"] == 200 and "kit features" in test["features"]
    assert {path.name for path in (run.folder / "samples").iterdir()} == {
        *("epoch-0001.png", "epoch-0002.png", "training.gif")
    }
    with Image.open(run.folder / "samples" / "training.gif") as animation:
        assert animation.n_frames == 2
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "data:image/gif" in page and "While it trained" in page
    assert {"generator_loss", "val_frechet_distance", "val_modes_covered"} <= set(run.history)


def test_what_is_saved_is_the_generator_of_pixels(run):
    again = keras.models.load_model(run.folder / "best.keras")
    latents = np.random.default_rng(0).normal(size=(4, 64)).astype("float32")
    made = np.asarray(again([latents, np.arange(4, dtype="int32")]))
    assert made.shape == (4, 8, 8, 1) and 0 <= made.min() < made.max() <= 255
    assert (made == np.asarray(run.model([latents, np.arange(4, dtype="int32")]))).all()


def test_predict_writes_images_and_a_seed_gives_the_same(run, empty_folder):
    first, again, other = (
        run.predict(count=5, seed=seed, output=name) for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    )
    assert list(first["label"]) == ["0", "1", "2", "3", "4"]
    files = [[(empty_folder / file).read_bytes() for file in table["file"]] for table in (first, again, other)]
    assert files[0] == files[1] != files[2]
    assert (empty_folder / "a" / "grid.png").exists()
    with pytest.raises(KitError, match="a: exists already; expected a new folder"):
        run.predict(count=5, output="a")
    wanted = run.predict(count=4, classes=("7", "2"), output="d")
    assert list(wanted["label"]) == ["7", "2", "7", "2"]
    ways = run.predict(interpolate=2, classes=("3",), output="e")
    assert len(ways) == 20 and set(ways["label"]) == {"3"}
    with pytest.raises(SettingError, match="classes: unknown name 'seven'"):
        run.predict(classes=("seven",), output="f")
    with pytest.raises(KitError, match="expected no inputs"):
        run.predict(["a/0.png"], output="f")
    assert not (empty_folder / "f").exists()


def test_without_styles_there_is_no_mean_to_go_to(run, empty_folder):
    with pytest.raises(SettingError, match="truncation: expected 1: this model has no styles"):
        run.predict(truncation=0.7, output="f")
    assert not (empty_folder / "f").exists()


@pytest.mark.slow
def test_styles_are_truncated_and_mixed(empty_folder):
    model = {"family": "stylegan", "conditional": True}
    run = kit.train("gan", folder=empty_folder / "styles", model=model, verbose=False, **SMALL)
    assert any("styles_mixed" in path.name for path in (run.folder / "plots").iterdir())
    names = {"a": 1.0, "b": 0.5, "c": 0.0, "d": 1.0}
    for name, truncation in names.items():
        run.predict(count=3, classes=("1",), truncation=truncation, output=name)
    made = {name: [(empty_folder / name / f"{index}.png").read_bytes() for index in range(3)] for name in names}
    assert made["a"] == made["d"] != made["b"]
    assert len(set(made["a"])) == 3 and len(set(made["c"])) == 1
    with pytest.raises(SettingError, match="truncation: expected at least 0"):
        run.predict(truncation=-1.0, output="e")
    assert cli.main(["predict", str(run.folder), "--truncation", "0.5", "--count", "3", "--output", "cli"]) == 0


def test_the_mixed_images_are_those_of_their_two_styles():
    model = recipes.image_generator((8, 8, 1), latent_dim=8, family="stylegan").sampler
    images = generated.style_mixing(model, 0, 0, count=2)
    assert images.shape == (9, 8, 8, 1) and (images[0] == 255).all()
    latents, _ = generated.sample_latents(model, 4, 0, 0)
    plain = generated.generate(model, latents, None, 10)
    assert (images[[3, 6]] == plain[:2]).all() and (images[[1, 2]] == plain[2:]).all()


def test_predict_on_the_command_line(run, empty_folder, capsys):
    assert cli.main(["predict", str(run.folder), "--count", "3", "--seed", "1", "--output", "made"]) == 0
    assert "3 images in made" in capsys.readouterr().out
    assert len(list((empty_folder / "made").glob("?.png"))) == 3
    assert cli.main(["predict", str(run.folder), "made"]) == 2
    assert "expected no inputs" in capsys.readouterr().err


def test_other_features_may_be_chosen(run, monkeypatch):
    from kit.runs import finished
    from kit.tasks import inception

    seen = []

    def network(images, training):
        seen.append(images.shape)
        return keras.ops.mean(images, axis=(1, 2))

    monkeypatch.setattr(inception, "_network", lambda: network)
    found = finished.evaluate(run.folder, overrides={"evaluate.features": "inception"}).metrics
    assert "Inception" in found["features"] and found["modes_covered"] == run.metrics["test"]["modes_covered"]
    assert found["frechet_distance"] != run.metrics["test"]["frechet_distance"]
    assert {shape[1:] for shape in map(tuple, seen)} == {(299, 299, 3)}


def test_weights_that_are_not_at_hand(run, monkeypatch):
    from kit.tasks import inception

    def unreachable(**settings):
        raise OSError("no network")

    inception._network.cache_clear()
    monkeypatch.setattr(keras.applications, "InceptionV3", unreachable)
    with pytest.raises(SettingError, match="features: the weights of Inception v3 are not at hand"):
        inception.features(np.zeros((2, 8, 8, 1), "uint8"))


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=pytest.mark.slow) for name in ("gan", "lsgan", "wgan", "wgan_gp", "sngan")]
)
def test_every_family_trains(family, empty_folder):
    backbone = {} if family == "gan" else SMALL["backbone"]
    done = kit.train("gan", model={"family": family}, verbose=False, **SMALL | {"backbone": backbone})
    assert np.isfinite(done.metrics["test"]["frechet_distance"])


def test_a_family_brings_its_own_objective():
    recipe = recipes.get("gan")
    settings = schema.resolve(recipe, None, {"model.family": "wgan_gp"}, None)
    assert settings["model"]["critic_steps"] == 5 and settings["model"]["gradient_penalty"] == 10.0
    assert settings["model"]["loss"] == "wasserstein"
    assert settings["backbone"]["discriminator_normalization"] == "layer"
    settings = schema.resolve(recipe, None, {"model.family": "wgan_gp", "model.critic_steps": 2}, None)
    assert settings["model"]["critic_steps"] == 2
    settings = schema.resolve(recipe, None, {"model.family": "stylegan"}, None)["model"]
    assert settings["r1"] > 0 and settings["r1_interval"] > 1 and settings["loss"] == "non_saturating"


def test_the_second_optimizer_is_like_the_first_where_nothing_else_is_said():
    recipe = recipes.get("gan")
    asked = {"optimizer.learning_rate": 0.003, "optimizer.beta_1": 0.4, "optimizer.discriminator.learning_rate": 0.001}
    settings = schema.resolve(recipe, None, asked, None)["optimizer"]
    assert settings["learning_rate"] == 0.003 and settings["discriminator"]["learning_rate"] == 0.001
    assert settings["beta_1"] == settings["discriminator"]["beta_1"] == 0.4
    settings = schema.resolve(recipe, None, {"optimizer.discriminator.name": "sgd"}, None)["optimizer"]
    assert settings["name"] == "adam" and "momentum" in settings["discriminator"] and "momentum" not in settings
    with pytest.raises(SettingError, match="optimizer.discriminator.momentum: unknown setting"):
        schema.resolve(recipe, None, {"optimizer.discriminator.momentum": 0.5}, None)


def test_the_two_optimizers_get_their_settings():
    from kit.training.adversarial import Adversarial

    model = recipes.image_generator((8, 8, 1), latent_dim=8, family="sngan", optimizer="sgd")
    assert isinstance(model, Adversarial)
    assert [type(each).__name__ for each in model.optimizers] == ["SGD", "SGD"]
    assert model.optimizers[0] is not model.optimizers[1]
    model.fit(np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1)).astype("uint8"), batch_size=16, verbose=0)


@pytest.mark.slow
def test_images_without_classes(empty_folder, monkeypatch):
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 20)
    (empty_folder / "photos").mkdir()
    for index in range(60):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype="uint8")
        Image.fromarray(pixels).save(empty_folder / "photos" / f"{index}.png")
    done = kit.train("gan", data="photos", verbose=False, **SMALL | {"train": {"epochs": 1, "batch_size": 16}})
    assert "modes_covered" not in done.metrics["test"] and "quarter turns" in done.metrics["test"]["features"]
    with pytest.raises(SettingError, match="model.conditional: expected False without at least two classes"):
        kit.train("gan", data="photos", model={"conditional": True}, verbose=False, train={"batch_size": 16})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": {"family": "dcgam"}}, "model.backbone: unknown name 'dcgam'; did you mean 'dcgan'"),
        ({"model": {"critic_steps": 0}}, "model.critic_steps: expected at least 1"),
        ({"model": {"r1_interval": 0}}, "model.r1_interval: expected at least 1"),
        ({"model": {"loss": "hing"}}, "model.loss: expected"),
        ({"model": {"augment": ["colour"]}}, "model.augment: expected"),
        ({"backbone": {"widths": [8, 8, 8, 8]}}, "backbone.widths: expected fewer, or images"),
        ({"optimizer": {"use_ema": True}}, "model.ema_momentum: averages the generator already"),
        ({"optimizer": {"schedule": "reduce_on_plateau"}}, "optimizer.schedule: 'reduce_on_plateau' cannot see which"),
        ({"optimizer": {"discriminator": {"learning_rate": -1.0}}}, "optimizer.discriminator.learning_rate: expected"),
        ({"optimizer": {"discriminator": {"use_ema": True}}}, "model.ema_momentum: averages the generator already"),
        ({"optimizer": {"discriminator": {"name": "adm"}}}, "optimizer.discriminator.name: unknown name 'adm'"),
        (
            {"optimizer": {"discriminator": {"schedule": "reduce_on_plateau"}}},
            "optimizer.discriminator.schedule: 'reduce_on_plateau' cannot see",
        ),
        ({"train": {"mixed_precision": "mixed_float16"}}, "train.mixed_precision"),
        ({"train": {"freeze": ["stage1"]}}, "train.freeze: gan trains two networks"),
        ({"train": {"average_epochs": 2}}, "train.average_epochs: gan trains two networks"),
    ],
)
def test_impossible_settings(arguments, said):
    with pytest.raises(SettingError, match=said):
        kit.train("gan", verbose=False, **arguments)


@pytest.mark.large
def test_the_default_makes_all_digits(monkeypatch):
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 1000)
    done = kit.train("gan", verbose=False)
    assert done.metrics["test"]["modes_covered"] == 10
