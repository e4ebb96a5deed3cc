import keras
import numpy as np
import pytest

import kit
from kit import cli
from kit.errors import KitError, SettingError
from kit.files import read_json
from tests.conftest import draw

SMALL = {
    "backbone": {"widths": [8, 16]},
    "train": {"epochs": 3, "steps_per_epoch": 10},
    "evaluate": {"num_samples": 0},
}
PLAIN = {"variational": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "variational"
    return kit.train("autoencoder", folder=folder, verbose=False, **SMALL)


@pytest.fixture(scope="module")
def mending(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "mending"
    settings = SMALL | {"train": {"epochs": 4, "steps_per_epoch": 60, "monitor": "val_psnr"}}
    return kit.train("autoencoder", folder=folder, data={"noise": 0.5}, model=PLAIN, verbose=False, **settings)


def test_the_run_folder_has_scores_pictures_and_a_page(run):
    test = read_json(run.folder / "metrics.json")["test"]
    assert {"psnr", "psnr_pca", "elbo", "kl", "reconstruction_nats", "active_units"} <= set(test)
    assert test["elbo"] == pytest.approx(-test["kl"] - test["reconstruction_nats"])
    assert {"val_nats", "val_kl", "psnr", "val_psnr"} <= set(run.history)
    assert run.metrics["best_epoch"] == run.history["val_nats"].argmin() + 1
    names = {path.stem for path in (run.folder / "plots").iterdir()}
    assert {"3_samples", "4_on_the_way_from_one_to_another", "5_latent_space", "6_largest_errors"} <= names
    assert "Latent space" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_encoder_and_decoder_are_parts_of_what_is_saved(run):
    again = keras.models.load_model(run.folder / "best.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype("uint8")
    made = np.asarray(again(pixels))
    assert made.shape == (4, 8, 8, 1) and 0 <= made.min() < made.max() <= 255
    assert (made == np.asarray(run.model(pixels))).all()
    code = np.asarray(again.get_layer("encoder")(pixels))
    assert code.shape == (4, 16)
    assert np.asarray(again.get_layer("decoder")(code[:, :8])) == pytest.approx(made, abs=1e-3)


def test_images_are_mended(mending):
    test = mending.metrics["test"]
    assert test["psnr_gain"] == pytest.approx(test["psnr"] - test["psnr_of_inputs"])
    assert test["psnr_gain"] > 2
    assert "elbo" not in test and "psnr_pca" not in test and "val_kl" not in mending.history
    names = {path.stem for path in (mending.folder / "plots").iterdir()}
    assert {"2_given_wanted_and_mended", "7_training_images_as_given_and_as_they_should_be"} <= names


def test_errors_say_what_is_unusual(run, empty_folder):
    usual = kit.runs.finished.data_of(run).validation.target("image")[:20]
    unusual = 255 * np.random.default_rng(0).integers(0, 2, (20, 8, 8, 1)).astype("uint8")
    table = run.predict(np.concatenate([usual, unusual]), codes=True)
    assert list(table)[:3] == ["input", "error", "anomaly"] and list(table)[3:] == [f"z({i})" for i in range(1, 9)]
    assert table["anomaly"].between(0, 1).all()
    assert table["anomaly"][:20].mean() < 0.8
    assert table["anomaly"][20:].min() == 1


def test_what_comes_back_is_written(run, empty_folder, capsys):
    for index in range(3):
        draw(empty_folder / "given" / f"{index}.png", (8, 8), "L", index)
    assert cli.main(["predict", str(run.folder), "given", "--output", "back"]) == 0
    assert "anomaly" in capsys.readouterr().out
    assert {path.name for path in (empty_folder / "back").iterdir()} == {"0.png", "1.png", "2.png", "grid.png"}
    assert cli.main(["predict", str(run.folder), "given", "--output", "back"]) == 2
    assert "back: exists already" in capsys.readouterr().err


def test_images_out_of_noise(run, empty_folder, capsys):
    assert cli.main(["predict", str(run.folder), "--count", "5", "--seed", "1", "--output", "a"]) == 0
    assert "5 images in a" in capsys.readouterr().out
    run.predict(count=5, seed=1, output="b")
    assert all(
        (empty_folder / "a" / f"{i}.png").read_bytes() == (empty_folder / "b" / f"{i}.png").read_bytes()
        for i in range(5)
    )
    assert len(run.predict(interpolate=2, output="c")) == 20
    assert cli.main(["predict", str(run.folder)]) == 2
    assert "no images; expected files or folders, or --count" in capsys.readouterr().err
    with pytest.raises(SettingError, match="count: expected 0 with images"):
        run.predict(np.zeros((1, 8, 8, 1), "uint8"), count=3)


def test_a_plain_autoencoder_makes_none(mending):
    with pytest.raises(KitError, match="model.variational=true"):
        mending.predict(count=3)


def test_classes_that_were_held_out_are_the_anomalies(empty_folder):
    settings = SMALL | {"train": {"epochs": 2, "steps_per_epoch": 20}}
    run = kit.train("autoencoder", data={"held_out": ["0"]}, model=PLAIN, verbose=False, **settings)
    assert 0 < run.metrics["test"]["anomaly_auroc"] <= 1
    splits = kit.runs.finished.data_of(run)
    train, validation, test = (part.extra("label") for part in (splits.train, splits.validation, splits.test))
    assert 0 not in train and 0 not in validation and 0 in test
    with pytest.raises(SettingError, match="data.held_out: unknown name 'zero'"):
        kit.train("autoencoder", data={"held_out": ["zero"]}, verbose=False, **SMALL)


def test_made_images_are_compared_as_those_of_a_generator(run, monkeypatch):
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 50)
    from kit.runs import finished

    found = finished.evaluate(run.folder, overrides={"evaluate.num_samples": 100}).metrics
    assert found["sample_size"] == 100 and found["frechet_distance_floor"] < found["frechet_distance"]
    assert {"kid", "modes_covered", "precision"} <= set(found)


@pytest.mark.slow
def test_layers_are_trained_alone_first_and_turned_around(empty_folder):
    settings = {
        "backbone": {"units": [20, 10], "pretraining_epochs": 5},
        "train": {"epochs": 1, "steps_per_epoch": 1},
    }
    model = {"backbone": "dbn_autoencoder", "latent_dim": 4} | PLAIN
    psnr = [
        kit.train(
            "autoencoder",
            model=model,
            verbose=False,
            evaluate=SMALL["evaluate"],
            optimizer={"learning_rate": 1e-5},
            **settings | {"backbone": settings["backbone"] | {"pretraining_epochs": epochs}},
        ).metrics["test"]["psnr"]
        for epochs in (0, 15)
    ]
    assert psnr[1] > psnr[0] + 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"data": {"noise": -1}}, "data.noise: expected at least 0"),
        ({"data": {"masking": 1}}, "data.masking"),
        ({"model": {"beta": -1}}, "model.beta"),
        ({"model": {"pixel_stddev": 0}}, "model.pixel_stddev"),
        ({"model": {"latent_dim": 0}}, "model.latent_dim"),
        ({"model": {"backbone": "mlp"}}, "model.backbone: unknown name 'mlp'"),
        ({"model": {"backbone": "dbn_autoencoder"}}, "model.variational: expected False"),
        ({"backbone": {"widths": [8, 8, 8, 8]}}, "backbone.widths: expected fewer"),
        ({"evaluate": {"num_samples": -1}}, "evaluate.num_samples"),
    ],
)
def test_values_out_of_range(settings, said, empty_folder):
    with pytest.raises(KitError, match=said):
        kit.train("autoencoder", verbose=False, **settings)
    assert not list(empty_folder.rglob("config.toml"))


def test_model_fit_works_by_itself():
    keras.utils.set_random_seed(0)
    model = kit.recipes.image_autoencoder(
        (8, 8, 1), latent_dim=4, variational=True, optimizer=keras.optimizers.Adam(3e-3)
    )
    images = np.tile(np.arange(0, 256, 4, dtype="uint8").reshape(1, 8, 8, 1), (64, 1, 1, 1))
    history = model.fit(images, images, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_images_of_the_validation_split_are_made_worse_once_alone(mending):
    splits = kit.runs.finished.data_of(mending)
    joined = splits.train.join(splits.validation)
    given, wanted = joined.input("image"), joined.target("image")
    assert (given == wanted).all() and len(joined) == len(splits.train) + len(splits.validation)
    again = splits.train.given()
    assert (again != splits.train.target("image")).mean() > 0.5 and (again == splits.train.given()).all()
    assert kit.evaluate(mending.folder, split="train").metrics["psnr_gain"] > 2


@pytest.mark.slow
def test_a_run_that_starts_from_another_warms_up_again(run, empty_folder):
    again = kit.train(
        "autoencoder",
        model={"kl_warmup_steps": 1000},
        verbose=False,
        **SMALL | {"train": {"epochs": 1, "steps_per_epoch": 3, "start_from": str(run.folder)}},
    )
    assert int(again.model.get_layer("latent").step) == 3
