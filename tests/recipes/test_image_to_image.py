import keras
import numpy as np
import pytest
from PIL import Image

import kit
from kit import cli, config, recipes
from kit.errors import KitError, SettingError
from kit.files import read_json

SMALL = {
    "backbone": {"widths": [8, 16], "residual_blocks": 1, "discriminator_widths": [8, 16]},
    "train": {"epochs": 2, "steps_per_epoch": 3, "batch_size": 8},
}


@pytest.fixture(scope="module", autouse=True)
def quick_classifier():
    """Scores by classifiers that are trained less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kit.tasks.image_features._STEPS", 40)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return kit.train("image_to_image", folder=tmp_path_factory.mktemp("runs") / "small", verbose=False, **SMALL)


def write(folder, count, size=(8, 8), bright=False):
    """Writes grey images, dark ones or bright ones."""
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 100, size, dtype="uint8") + np.uint8(150 * bright)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")


def data(seed=0, **settings):
    return config.call(recipes.get("image_to_image").data, seed, None, **settings)


def test_the_run_folder_has_scores_of_both_directions_samples_and_a_page(run):
    test = read_json(run.folder / "metrics.json")["test"]
    for direction in ("a_to_b", "b_to_a"):
        own = {name.removeprefix(f"{direction}_"): value for name, value in test.items() if name.startswith(direction)}
        assert set(own) == {
            *("frechet_distance", "frechet_distance_floor", "frechet_distance_untranslated", "back_again_error"),
            *("read_correctly", "read_correctly_untranslated", "read_correctly_real", "scorer"),
        }
        assert own["frechet_distance_floor"] < own["frechet_distance_untranslated"]
        assert own["read_correctly_untranslated"] < own["read_correctly_real"]
        assert own["back_again_error"] > 0
    assert "kit features, of a classifier of classes" in test["features"]
    assert {path.name for path in (run.folder / "samples").iterdir()} == {
        *("epoch-0001.png", "epoch-0002.png", "training.gif")
    }
    assert (run.folder / "tables" / "2_read_correctly.csv").exists()
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "data:image/gif" in page and "original translated and back again" in page
    logged = {"loss", "generator_loss", "cycle_loss", "identity_loss"}
    assert logged | {f"val_{name}" for name in logged} | {"val_frechet_distance"} <= set(run.history)
    assert len(list((run.folder / "assets").glob("[ab]/features.keras"))) == 2


def test_what_is_saved_is_the_network_of_both_directions(run):
    again = keras.models.load_model(run.folder / "best.keras")
    assert {"a_to_b", "b_to_a"} <= {layer.name for layer in again.layers}
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 8, 1)).astype("float32")
    for made, same in zip(again([*images]), run.model([*images]), strict=True):
        made = np.asarray(made)
        assert made.shape == (4, 8, 8, 1) and 0 <= made.min() < made.max() <= 255
        assert (made == np.asarray(same)).all()


def test_predict_writes_images_under_their_names(run, empty_folder):
    write(empty_folder / "some", 3)
    write(empty_folder / "more", 2)
    table = run.predict(["some", "more/01.png"], output="made")
    assert [file.rpartition("/")[2] for file in table["file"]] == ["00.png", "01.png", "02.png", "01-2.png"]
    assert list(table["input"])[-1] == "more/01.png"
    back = run.predict("some", direction="b_to_a", output="back", batch_size=2)
    pixels = np.stack([np.asarray(Image.open(empty_folder / "some" / f"{index:02}.png")) for index in range(3)])
    expected = [np.asarray(each) for each in run.model([pixels[..., None]] * 2)]
    for files, made in ((table["file"][:3], expected[0]), (back["file"], expected[1])):
        found = np.stack([np.asarray(Image.open(file)) for file in files])
        assert np.abs(found - made[..., 0]).max() <= 0.51
    again = run.predict(pixels, output="array")
    assert list(again["input"]) == ["0", "1", "2"]
    assert (empty_folder / again["file"][1]).read_bytes() == (empty_folder / table["file"][1]).read_bytes()


def test_predict_says_in_a_line_what_cannot_be(run, empty_folder):
    write(empty_folder / "some", 2)
    (empty_folder / "empty").mkdir()
    (empty_folder / "broken.png").write_bytes(b"no image")
    for inputs, said in (
        ("empty", "no images in empty"),
        ("broken.png", "broken.png: not a whole image"),
        ("none.png", "none.png: no such file"),
        (np.zeros((2, 7, 8, 1)), "expected images of shape"),
        (np.zeros((0, 8, 8, 1)), "an array of no images"),
    ):
        with pytest.raises(KitError, match=said):
            run.predict(inputs, output="made")
    with pytest.raises(SettingError, match="predict.direction: expected one of .*, got 'a_to_c'; did you mean"):
        run.predict("some", direction="a_to_c", output="made")
    with pytest.raises(KitError, match="some: exists already; expected a new folder"):
        run.predict("some", output="some")
    assert not (empty_folder / "made").exists()


def test_predict_on_the_command_line(run, empty_folder, capsys):
    write(empty_folder / "some", 2)
    words = ["predict", str(run.folder), "some", "--direction", "b_to_a", "--output", "made"]
    assert cli.main(words) == 0
    assert "2 images in made" in capsys.readouterr().out
    assert len(list((empty_folder / "made").glob("*.png"))) == 2
    assert cli.main([*words[:-1], "other", "--direction", "b_to_c"]) == 2
    assert "direction" in capsys.readouterr().err


def test_two_folders_are_two_domains(empty_folder):
    for split, count in (("train", 30), ("test", 4)):
        write(empty_folder / "photos" / split / "A", count)
        write(empty_folder / "photos" / split / "B", count - 1, bright=True)
    splits = data(source="photos")
    assert (len(splits.test.a), len(splits.test.b)) == (4, 3)
    for part in (splits.train, splits.validation, splits.test):
        assert part.a.input("image").max() < 100 and part.b.input("image").min() >= 150
    assert splits.assets["domain_b"] == "given" and splits.assets["class_names"] == []
    model = recipes.image_translator((8, 8, 1))
    test = recipes.get("image_to_image").task.evaluate(model.network, splits.test, splits.assets).metrics
    assert "quarter turns" in test["features"] and "a_to_b_read_correctly" not in test
    assert np.isfinite(test["a_to_b_frechet_distance"]) and np.isfinite(test["b_to_a_frechet_distance"])


def test_one_source_is_divided_in_two_halves_and_one_is_changed():
    plain, again, other = (data(image_size=8, split_seed=seed) for seed in (0, 0, 1))
    inverted = plain.test.b.input("image")
    assert (len(plain.test.a), len(plain.test.b)) == (179, 180)
    assert inverted.mean() > 128 > plain.test.a.input("image").mean()
    assert (inverted == again.test.b.input("image")).all() and not (inverted == other.test.b.input("image")).all()
    rotated, thick = (data(change=name).test for name in ("rotated", "thick"))
    for part in (rotated, thick):
        assert (part.a.input("image") == plain.test.a.input("image")).all()
        assert (part.b.target("label") == plain.test.b.target("label")).all()
    original = 255 - inverted
    assert (np.rot90(rotated.b.input("image"), -1, axes=(1, 2)) == original).all()
    for image, wide in zip(original[:3, ..., 0], thick.b.input("image")[:3, ..., 0], strict=True):
        slow = [[image[row : row + 2, column : column + 2].max() for column in range(8)] for row in range(8)]
        assert (wide == slow).all()
    both = [
        {image.tobytes() for image in images}
        for images in (plain.train.a.input("image"), 255 - plain.train.b.input("image"))
    ]
    assert not both[0] & both[1]


def test_images_that_are_no_two_domains(empty_folder):
    write(empty_folder / "one" / "A", 9)
    write(empty_folder / "four" / "trainA", 3)
    write(empty_folder / "four" / "trainB", 3)
    write(empty_folder / "few" / "A", 40)
    write(empty_folder / "few" / "B", 4)
    write(empty_folder / "wide", 20, (8, 10))
    with pytest.raises(KitError, match="one: holds A; expected two domains, A/ and B/"):
        data(source="one")
    with pytest.raises(KitError, match="four: holds trainA, trainB; expected two domains, A/ and B/"):
        data(source="four")
    with pytest.raises(
        KitError, match="few: [01] images of domain B in the (train|validation|test) split; expected at least 2"
    ):
        data(source="few")
    with pytest.raises(SettingError, match="change: 'rotated' needs square images, these are 8x10"):
        data(source="wide", change="rotated")
    assert data(source="wide", validation_fraction=0.3).assets["class_names"] == ["image"]


def test_the_two_optimizers_and_plain_fit():
    import tensorflow as tf

    model = recipes.image_translator((8, 8, 1), optimizer="sgd", pool_size=4)
    assert [type(each).__name__ for each in model.optimizers] == ["SGD", "SGD"]
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 8, 1)).astype("uint8")
    model.run_eagerly = True  # to compile takes longer than one batch
    model.fit(tf.data.Dataset.from_tensors((tuple(images),)), verbose=0)
    assert [made.shape for made in model.network.predict([*images], verbose=0)] == [(4, 8, 8, 1)] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": {"backbone": "cyclegam"}}, "model.backbone: unknown name 'cyclegam'; did you mean 'cyclegan'"),
        ({"model": {"cycle_weight": -1.0}}, "model.cycle_weight: expected at least 0"),
        ({"model": {"loss": "hing"}}, "model.loss: expected"),
        ({"data": {"change": "turned"}}, "data.change: expected"),
        ({"backbone": {"widths": [8, 8, 8, 8, 8]}}, "backbone.widths: expected fewer, or images"),
        ({"data": {"image_size": 9}}, "backbone.widths: expected fewer, or images whose sides are multiples of 2"),
        ({"train": {"freeze": ["stage1"]}}, "train.freeze: image_to_image trains two networks"),
    ],
)
def test_impossible_settings(arguments, said):
    with pytest.raises(SettingError, match=said):
        kit.train("image_to_image", verbose=False, **arguments)


def test_other_formats_are_refused_in_a_line(run):
    from kit.commands.export import export

    with pytest.raises(KitError, match="onnx: image_to_image translates in two directions"):
        export(run.folder, "onnx")


@pytest.mark.large
def test_the_default_keeps_what_a_digit_means(monkeypatch):
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 1000)
    test = kit.train("image_to_image", verbose=False).metrics["test"]
    assert min(test["a_to_b_read_correctly"], test["b_to_a_read_correctly"]) > 0.9
