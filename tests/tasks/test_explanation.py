"""`kit explain`: images and texts, its page, its table, and what it refuses; nothing but the run's model is asked."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kit
from kit.cli import main
from kit.errors import KitError, SettingError
from kit.reporting import plots, token_plots
from kit.reporting.explanation import Explanation
from kit.tasks.text_explanation import embedded_and_rest
from tests.conftest import draw


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return [draw(folder / f"{index}.png", mode="L", value=index) for index in range(3)]


def test_images_are_explained(small_run, pictures, tmp_path, capsys):
    output = tmp_path / "here"
    words = ["explain", str(small_run.folder), *map(str, pictures), "--steps", "16", "--output", str(output), "--json"]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = printed["rows"]
    assert [row["input"] for row in rows] == list(map(str, pictures))
    assert all(row["method"] == "Grad-CAM and integrated gradients" for row in rows)
    for row in rows:
        assert abs(row["attributed"] - row["difference"]) <= row["gap"] * max(abs(row["difference"]), 0.1) + 1e-6
        assert row["gap"] < 0.2 and row["label"] == row["explained"]
    assert [path.name for path in sorted(output.glob("*.png"))] == ["01_0.png.png", "02_1.png.png", "03_2.png.png"]
    page = (output / "explanation.html").read_text()
    assert page.count("data:image/png") == 3 and "http" not in page.replace("http-equiv", "")
    assert len(pd.read_csv(output / "explanation.csv")) == 3
    assert len(json.loads((output / "explanation.json").read_text())["rows"]) == 3
    arrays = np.load(output / "arrays.npz")
    assert arrays["grad_cam"].shape == arrays["integrated_gradients"].shape == (3, 8, 8)
    assert main(words) == 2 and "exists already" in capsys.readouterr().err


def test_a_class_is_asked_for(small_run, pictures):
    found = kit.load(small_run.folder).explain(pictures[0], target="7", method="integrated_gradients", steps=8)
    assert found.table["explained"].tolist() == ["7"] and set(found.arrays) == {"integrated_gradients"}
    assert "<img" in found._repr_html_()
    with pytest.raises(SettingError, match=r"^explain\.target: unknown name 'seven'"):
        small_run.explain(pictures[0], target="seven")
    with pytest.raises(SettingError, match=r"^explain\.steps: expected a whole number above 0"):
        small_run.explain(pictures[0], steps=0)
    few = small_run.explain(pictures, most_inputs=2, method="grad_cam")
    assert len(few.table) == 2 and "The first 2 of 3 images" in few.notes[-1]


def test_where_there_is_no_feature_map_it_is_said(small_run, pictures):
    inputs = keras.Input((8, 8, 1))
    flat = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs)))
    run = type(small_run)(**vars(small_run) | {"model": flat})
    found = run.explain(pictures[0], steps=4)
    assert set(found.arrays) == {"integrated_gradients"} and any(note.startswith("No Grad-CAM") for note in found.notes)
    with pytest.raises(SettingError, match=r"^explain\.method: this architecture has no feature map.*expected 'integ"):
        run.explain(pictures[0], method="grad_cam")


def test_the_worst_mistakes_are_explained_on_request(small_run):
    name = "3_most_confident_mistakes_explained"
    assert name not in kit.evaluate(small_run.folder).figures
    figures = kit.evaluate(small_run.folder, overrides={"evaluate.explain_mistakes": True}).figures
    drawn = [axis for axis in figures[name]().axes if axis.images]
    assert 1 <= len(drawn) <= 12 and all(len(axis.images) == 2 for axis in drawn)


def test_refuses(small_run, tmp_path, capsys):
    assert main(["explain", str(small_run.folder)]) == 2
    assert "explain: nothing to explain; expected files" in capsys.readouterr().err
    (tmp_path / "text.png").write_text("no image")
    assert main(["explain", str(small_run.folder), str(tmp_path / "text.png")]) == 2
    error = capsys.readouterr().err
    assert "text.png" in error and error.count("\n") == 1
    assert not (small_run.folder / "explained").exists()
    assert main(["explain", str(small_run.folder), "x.png", "--explain.stepz", "3"]) == 2
    assert "did you mean 'steps'" in capsys.readouterr().err


def test_a_recipe_without_explanations_refuses(tmp_path, capsys):
    (tmp_path / "config.toml").write_text('recipe = "autoencoder"\n')
    (tmp_path / "metrics.json").write_text('{"test": {"psnr": 1.0}}')
    assert main(["explain", str(tmp_path), "x.png"]) == 2
    error = capsys.readouterr().err
    assert "answers of autoencoder are not explained; expected a run of image_classification" in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module", params=["bilstm_crf", "transformer"])
def tagger(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagger") / "run"
    settings = {"config": "smoke", "model": {"backbone": request.param}}
    return kit.train("sequence_tagging", folder=folder, verbose=False, **settings)


def test_tags_are_explained(tagger, tmp_path):
    found = tagger.explain(["Maria flew to Oslo.", "It costs 5 dollars."], steps=16, most_inputs=1, most_words=2)
    assert 1 <= len(found.table) <= 2 and set(found.table["sentence"]) == {1}
    assert found.arrays["sentence_1"].shape == (len(found.table), 5)
    np.testing.assert_allclose(
        found.arrays["sentence_1"].sum(1),
        found.table["difference"],
        atol=0.02 + 0.05 * found.table["difference"].abs().max(),
    )
    assert "The first 1 of 2 sentences" in found.notes[-1]
    attention = [name for name in found.figures if "attention" in name]
    assert bool(attention) == ("transformer" in tagger.settings["model"]["backbone"])
    page = found.write(tmp_path)
    assert "What the tags rest on" in page.read_text()
    with pytest.raises(KitError, match="no words to explain"):
        tagger.explain([" "])


def test_a_tagger_taken_apart_is_the_tagger(tagger):
    to_embeddings, rest = embedded_and_rest(tagger.model)
    inputs = {each.name: np.ones((1, 3) + (4,) * (len(each.shape) - 2), "int32") for each in tagger.model.inputs}
    whole, parts = tagger.model(inputs, training=False), rest(to_embeddings(inputs, training=False), training=False)
    np.testing.assert_allclose(whole, parts, rtol=1e-5, atol=1e-5)


def test_translations_are_explained(tmp_path):
    run = kit.train("translation", config="smoke", folder=tmp_path / "run", verbose=False)
    found = run.explain("May 5, 2031", steps=16, most_words=3)
    assert len(found.table) == 3 and found.arrays["sentence_1"].shape[0] == 3
    np.testing.assert_allclose(found.arrays["sentence_1"].sum(1), found.table["difference"], atol=0.1)
    assert any("attention" in name for name in found.figures)
    with pytest.raises(KitError, match="no text to explain"):
        run.explain("")


def test_an_explanation_escapes_what_it_shows(tmp_path):
    table = pd.DataFrame({"<script>": ["<script>x</script>"]})
    image = np.zeros((4, 4, 3), np.uint8)
    figure = lambda: plots.explained_image(image, "<script>", {"map": np.zeros((4, 4))})  # noqa: E731
    found = Explanation("<script>", table, {"<script>x": figure}, notes=("<script>",))
    page = found.write(tmp_path).read_text()
    assert "<script" not in page and "<script" not in found._repr_html_()


def test_maps_are_drawn_over_images_of_every_kind(tmp_path):
    random = np.random.default_rng(0)
    for channels in (1, 3):
        image = random.integers(0, 256, (6, 9, channels), dtype=np.uint8)
        maps = {"cam": random.random((6, 9)), "signed": random.normal(size=(6, 9)), "none": np.zeros((6, 9))}
        plots.save(plots.explained_image(image, "$x", maps), tmp_path / f"{channels}.png")
        with Image.open(tmp_path / f"{channels}.png") as drawn:
            assert min(drawn.size) > 5
    plots.save(token_plots.contributions(np.zeros((1, 1)), ["word"], ["$answer"]), tmp_path / "words.png")
