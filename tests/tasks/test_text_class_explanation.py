"""Explained texts: attention maps are what softmax gave, shares of words add up, and what cannot be is refused."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops
from PIL import Image

import kit
from kit.attribution.calls import run
from kit.attribution.token_embeddings import TokenEmbeddings
from kit.cli import main
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError
from kit.recipes.masked_language_modelling import masked_language_model
from kit.recipes.text_classification import text_classifier
from kit.reporting import plots, token_plots
from kit.tasks.attention_maps import attention_weights, has_attention, head_numbers, head_table
from tests.conftest import plots_drawn

TRAIN = {"epochs": 1, "batch_size": 8, "steps_per_epoch": 3, "steps_per_execution": 1, "jit_compile": False}
QUICK = {"train": TRAIN, "evaluate": {"bootstrap_samples": 10, "baseline": False}, "verbose": False}
BERT = {"dim": 16, "depth": 2, "num_heads": 2, "feedforward_dim": 16, "max_length": 32}
DEBERTA = {"dim": 16, "depth": 1, "num_heads": 2, "feedforward_dim": 16}
IDS = np.array([[2, 7, 9, 3, 12, 14, 3], [2, 5, 3, 6, 3, 0, 0]], "int32")
INPUTS = {"ids": IDS, "segments": np.array([[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]], "int32")}


def classifier(name, **arguments):
    keras.utils.set_random_seed(0)
    build, known = kit.recipes.text_classification.BACKBONES[name]
    backbone = build(20, 0, **known | arguments) if name in kit.models.text.OF_TOKENS else build(8, **known | arguments)
    return text_classifier(20, 3, num_texts=2, pad_id=0, backbone=backbone, embedding_dim=8)


ATTENTIVE = {
    "bert": BERT,
    "deberta": DEBERTA,
    "transformer": {"dim": 8, "depth": 2, "num_heads": 2, "feedforward_dim": 8},
}


@pytest.mark.parametrize("name", ATTENTIVE)
def test_rows_of_attention_add_up_to_one_and_padding_gets_none(name):
    model = classifier(name, **ATTENTIVE[name])
    found = attention_weights(model, INPUTS)
    assert len(found) == ATTENTIVE[name]["depth"] and has_attention(model) and not has_attention(classifier("bigru"))
    for weights in found.values():
        assert weights.shape == (2, 2, 7, 7) and weights.min() >= 0
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        assert (weights[1, :, :, 5:] == 0).all() and (weights[1, :, :, :5] > 0).all()
        alone = attention_weights(model, {key: value[1:, :5] for key, value in INPUTS.items()})
    np.testing.assert_allclose(weights[1:, :, :5, :5], list(alone.values())[-1], atol=1e-5)


def test_the_weights_are_those_that_mixed_the_values():
    """Recomputed by hand from what the first layer is given: softmax of queries and keys, and the output it makes."""
    model = classifier("transformer", **ATTENTIVE["transformer"])
    layer = model.get_layer("transformer").get_layer("block1_attention")
    found = attention_weights(model, INPUTS)[layer.name]
    seen = []

    def look(operation, call):
        outputs = call()
        if operation.name in ("block1_attention_norm", layer.name):
            seen.append(ops.convert_to_numpy(outputs[0] if operation is layer else outputs))
        return outputs

    run(model, INPUTS, look)
    given, made = seen
    heads = lambda x: x.reshape(2, 7, 2, 4).transpose(0, 2, 1, 3)  # noqa: E731
    query, key, value = (
        heads(given @ ops.convert_to_numpy(dense.kernel) + ops.convert_to_numpy(dense.bias))
        for dense in (layer._query, layer._key, layer._value)
    )
    scores = query @ key.transpose(0, 1, 3, 2) / 2
    scores = np.where((IDS != 0)[:, None, None], scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(found, powers / powers.sum(-1, keepdims=True), atol=1e-5)
    mixed = (found @ value).transpose(0, 2, 1, 3).reshape(2, 7, 8)
    output = mixed @ ops.convert_to_numpy(layer._output.kernel) + ops.convert_to_numpy(layer._output.bias)
    np.testing.assert_allclose(output, made, atol=1e-5)


def test_masked_language_models_have_theirs_without_an_encoder_inside():
    build, known = kit.recipes.masked_language_modelling.BACKBONES["bert"]
    model = masked_language_model(20, backbone=build(20, 0, **known | BERT))
    found = attention_weights(model, {"ids": IDS, "positions": np.zeros((2, 1), "int32")})
    assert list(found) == ["block1_attention", "block2_attention"]
    np.testing.assert_allclose(found["block2_attention"].sum(-1), 1, atol=1e-5)


def test_numbers_of_heads():
    """One head looks at the token before, one at the start: distances 1 and none, shares 1."""
    before, first = np.eye(4, k=-1), np.zeros((4, 4))
    before[0, 0], first[:, 0] = 1, 1
    special = np.array([True, False, False, False])
    found, count = head_numbers(np.stack([before, first]), special)
    assert count == 3
    assert found["neighbours"].tolist() == pytest.approx([1, 1 / 3]) and found["special"].tolist() == pytest.approx(
        [1 / 3, 1]
    )
    assert found["mean_distance"].tolist() == pytest.approx([2 / 3, 0]) and found["itself"].tolist() == [0, 0]
    table, even = head_table([([np.stack([before, first])], special)] * 2)
    assert table[["layer", "head"]].to_numpy().tolist() == [[1, 1], [1, 2]] and even["special"] == pytest.approx(0.25)
    assert table["neighbours"].tolist() == pytest.approx([1, 1 / 3])


@pytest.mark.parametrize("name", [*ATTENTIVE, "bag_of_ngrams", "text_cnn", "bigru"])
def test_shares_of_tokens_add_up_to_the_difference_of_logits(name):
    model = classifier(name, **ATTENTIVE.get(name, {}))
    text = {key: value[:1] for key, value in INPUTS.items()}
    special = np.isin(IDS[0], (0, 2, 3))
    values, found = TokenEmbeddings(model).attribution(text, 1, special, 5, steps=32)
    assert values.shape == (7,) and found.gap < 0.02
    assert found.answer == pytest.approx(model.predict_on_batch(text)[0, 1], abs=1e-4)
    assert values.sum() == pytest.approx(found.answer - found.baseline, abs=0.02 * max(abs(values.sum()), 0.1))
    other = {**text, "ids": np.where(special, text["ids"], 5)}
    if name != "bag_of_ngrams":  # whose n-grams are taken away, too
        assert found.baseline == pytest.approx(model.predict_on_batch(other)[0, 1], abs=1e-4)
        assert (values[special] == 0).all()


def texts(pairs):
    random, letters = np.random.default_rng(0), list("abcd")
    rows = [[" ".join(random.choice(letters, 5)) for _ in range(2)] for _ in range(60)]
    return [(one, other, "xy"[one > other]) if pairs else (one, "xy"[row % 2]) for row, (one, other) in enumerate(rows)]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return kit.train(
        "text_classification",
        data={"source": texts(pairs=True), "max_length": 32},
        model={"backbone": "bert"},
        backbone=BERT,
        folder=tmp_path_factory.mktemp("bert") / "run",
        **QUICK | {"evaluate": {"bootstrap_samples": 10, "explain_mistakes": True}},
    )


@pytest.fixture(scope="module")
def cnn(tmp_path_factory):
    return kit.train(
        "text_classification",
        data=texts(pairs=False),
        model={"backbone": "text_cnn", "embedding_dim": 4},
        backbone={"filters": 2, "kernel_sizes": [2]},
        folder=tmp_path_factory.mktemp("cnn") / "run",
        **QUICK,
    )


def test_pairs_are_explained(bert, tmp_path, capsys):
    output = tmp_path / "here"
    assert main(["explain", str(bert.folder), "--text", "a b (c)\td a", "--output", str(output), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    (row,) = printed["rows"]
    assert row["method"] == "attention and integrated gradients" and row["input"] == "a b (c) | d a"
    assert row["probability"] == pytest.approx(bert.predict([("a b (c)", "d a")])["probability"][0], abs=1e-5)
    words = pd.read_csv(output / "words.csv", keep_default_na=False)
    assert words["word"].tolist() == ["<s>", "a", "b", "(", "c", ")", "</s>", "d", "a", "</s>"]
    assert words["part"].tolist() == [1] * 7 + [2] * 3 and words["pieces"][4].startswith("c")
    assert words["adds"].sum() == pytest.approx(row["attributed"], abs=1e-6)
    assert row["attributed"] == pytest.approx(
        row["difference"], abs=row["gap"] * max(abs(row["difference"]), 0.1) + 1e-6
    )
    assert [[each["layer"], each["head"]] for each in printed["heads"]] == [[1, 1], [1, 2], [2, 1], [2, 2]]
    names = {path.stem for path in output.glob("*.png")}
    assert names == {"01_words", "01_attention_of_layer_1", "01_attention_of_layer_2", "attention_of_each_head"}
    arrays = np.load(output / "arrays.npz")
    np.testing.assert_allclose(arrays["attention_1_layer_2"].sum(-1), 1, atol=1e-5)
    page = (output / "explanation.html").read_text()
    assert "<h2>Heads</h2>" in page and "<h2>Words</h2>" in page and "A head that looked at all tokens" in page


def test_all_figures_go_into_one_picture(bert, tmp_path, capsys):
    path = tmp_path / "out.png"
    with plots_drawn():
        words = ["explain", str(bert.folder), "--text", "a b\tc", "--method", "attention", "--output", str(path)]
        assert main(words) == 0
    printed = capsys.readouterr().out
    assert "mean_distance" in printed and f"picture  {path}" in printed and "because" not in printed
    with Image.open(path) as drawn:
        assert drawn.height > 500 and drawn.width > 300
    assert not (bert.folder / "explained").exists()
    assert main(["explain", str(bert.folder), "--text", "a\tb", "--output", str(tmp_path / "no" / "out.png")]) == 2
    assert "output: expected a .png file in a known folder" in capsys.readouterr().err


def test_without_attention_it_is_integrated_gradients(cnn):
    found = cnn.explain(["a b unheardof", "c"], target="y", most_inputs=1)
    assert found.table["method"].tolist() == ["integrated gradients"] and set(found.tables) == {"words"}
    assert found.table["explained"].tolist() == ["y"] and "The first 1 of 2 texts" in found.notes[-1]
    assert found.tables["words"]["word"].tolist() == ["<s>", "a", "b", "unheardof", "</s>"]
    assert found.table["gap"][0] < 0.05 and "<img" in found._repr_html_()
    rough = cnn.explain("a b c d", steps=1, reference="padding")
    is_said = any("raise explain.steps" in note for note in rough.notes)
    assert is_said == (rough.table["gap"][0] > 0.05)
    with pytest.raises(SettingError, match=r"^explain\.method: this architecture has no attention that can be seen"):
        cnn.explain("a b", method="attention")
    with pytest.raises(SettingError, match=r"^explain\.reference: the tokenizer has no token for hidden ones"):
        cnn.explain("a b", reference="mask")
    with pytest.raises(SettingError, match=r"^explain\.target: unknown name 'z'"):
        cnn.explain("a b", target="z")
    with pytest.raises(KitError, match="inputs: text 1 is empty"):
        cnn.explain(" ")


def test_the_worst_mistakes_are_on_the_page(bert, cnn):
    assert (bert.folder / "plots" / "3_most_confident_mistakes_explained.png").exists()
    name = "3_most_confident_mistakes_explained"
    assert name not in kit.evaluate(cnn.folder, data=texts(pairs=False)).figures
    shown = kit.evaluate(cnn.folder, split="train", data=texts(False), overrides={"evaluate.explain_mistakes": True})
    drawn = [each.get_text() for each in shown.figures[name]().axes[0].texts]
    assert any(text.endswith(("is x", "is y")) for text in drawn) and "a" in drawn


def test_a_masked_language_model_shows_its_attention(tmp_path):
    random = np.random.default_rng(0)
    run = kit.train(
        "masked_language_modelling",
        folder=tmp_path / "run",
        data={"source": [" ".join(random.choice(list("abcdefgh"), 30)) for _ in range(20)], "max_length": 16},
        model={"backbone": "bert"},
        backbone=BERT,
        train=TRAIN | {"steps_per_epoch": 1},
        verbose=False,
    )
    found = run.explain(["a b ___ d", "a b"], method="attention")
    assert len(found.table) == 4 and set(found.arrays) >= {"attention_1_layer_1", "attention_2_layer_2"}
    assert found.arrays["attention_2_layer_1"].shape == (2, 4, 4)
    with pytest.raises(KitError, match="no texts"):
        run.explain(" ")


def test_words_are_put_together_of_their_pieces():
    known = Tokenizer.learn(
        ["the cat sat (really) on the mat, 25 times"] * 3, vocabulary_size=40, min_count=1, at_most=True
    )
    words, owners = known.words("The  cats sat (so) on Mätt, 25.")
    assert words == ["The", "cats", "sat", "(", "so", ")", "on", "Mätt", ",", "2", "5", "."]
    assert len(owners) == len(known.encode(["The  cats sat (so) on Mätt, 25."])[0]) and owners == sorted(owners)
    assert known.words("") == ([], [])


def test_pictures_of_every_size(tmp_path):
    random = np.random.default_rng(0)
    with plots_drawn():
        for heads, time in ((1, 1), (12, 30), (3, 60)):
            weights = random.random((heads, time, time))
            captions = [("distance 1.0", "neighbours 2%", "special 3%")] * heads
            figure = token_plots.attention_heads(weights, [f"$word{row}" for row in range(time)], captions)
            assert len(figure.axes) == heads and figure.get_size_inches()[0] <= 14.5
            labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
            assert labels == [f"$word{row}" for row in range(min(time, 40))]
            if time == 1:
                plots.save(figure, tmp_path / "heads.png")
        plots.save(token_plots.of_heads({"a": (random.random((2, 3)), ".2f")}), tmp_path / "numbers.png")
        parts = [[("a$", 0.1), ("<b>", -0.2), ("c" * 200, 0.0)], [("d", 0.0)]]
        plots.save(token_plots.coloured([("x 90%\nis y", parts), ("none", [[]])]), tmp_path / "words.png")
    with Image.open(tmp_path / "words.png") as drawn:
        assert drawn.width > 400 and drawn.convert("RGB").getextrema() != ((255, 255),) * 3
