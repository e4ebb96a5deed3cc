"""The recipe: builder, data, tasks by their prefix, pre-training and what goes on from it, published weights."""

import json

import keras
import numpy as np
import pytest

import kit
from kit import config
from kit.commands.export import export
from kit.data.splits import Kept
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError
from kit.recipes import text_to_text as recipe
from kit.tasks import text_to_text
from kit.weights import loading
from kit.weights import t5 as family
from kit.weights.tensors import Tensors
from tests.conftest import slow
from tests.weights.published import fixture, publish

WORDS = ("red", "blue", "green", "one", "two", "three", "cat", "dog")
NETWORK = {"dim": 32, "depth": 1, "num_heads": 2, "head_dim": 16, "feedforward_dim": 64, "dropout": 0.0}
TRAIN = {"epochs": 2, "batch_size": 16, "steps_per_epoch": 4, "steps_per_execution": 1, "jit_compile": False}
EVALUATE = {"beam_width": 2, "bootstrap_samples": 10}


def rows(count=300, seed=0):
    """Texts of two tasks that the prefix alone tells apart: the first word, or the last."""
    random, found = np.random.default_rng(seed), {}
    while len(found) < count:
        words = [WORDS[each] for each in random.integers(len(WORDS), size=random.integers(2, 5))]
        text = " ".join(words)
        found[f"first: {text}"] = words[0]
        found[f"last: {text}"] = words[-1]
    return list(found.items())


def trained(folder, **settings):
    tables = {"data": {"source": rows()}, "backbone": NETWORK, "train": TRAIN, "evaluate": EVALUATE}
    for name, table in settings.items():
        tables[name] = tables.get(name, {}) | table
    return kit.train("text_to_text", config="default", folder=folder, verbose=False, **tables)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run that has learned both tasks, more or less."""
    train = TRAIN | {"epochs": 6, "steps_per_epoch": 300, "steps_per_execution": 20}
    return trained(tmp_path_factory.mktemp("runs") / "run", train=train)


def test_the_prefix_tells_what_is_written(run):
    found = run.predict(["first: red cat blue", "last: red cat blue"], method="greedy")
    assert list(found["written"]) == ["red", "blue"]
    assert list(found.columns) == ["sentence", "source", "rank", "written", "score"]
    assert run.metrics["test"]["exact_match"] > 0.8


def test_scores_are_of_each_task(run):
    test = run.metrics["test"]
    for name in ("exact_match", "chrf", "rougeL"):
        assert {name, f"first: {name}", f"last: {name}"} <= test.keys()
    assert "bleu" in test and "first: bleu" not in test  # of single words there is none
    table = run.folder / "tables" / "1_scores_of_each_task.csv"
    assert table.read_text().startswith("task,texts,exact_match,bleu,chrf,rouge1,rouge2,rougeL\nfirst,")
    mean = sum(test[f"{task}: exact_match"] for task in ("first", "last")) / 2
    assert mean == pytest.approx(test["exact_match"], abs=0.05)
    assert test["perplexity"] == pytest.approx(np.exp(test["cross_entropy"]))


def test_bleu_is_of_texts_of_four_words():
    sides = ["a b c d", "x"], ["a b c d", "x"]
    table = text_to_text.scores_of_tasks(*sides, ["long", "short"])
    assert list(table["task"]) == ["long", "short"] and table["exact_match"].tolist() == [1.0, 1.0]
    assert table["bleu"][0] == pytest.approx(100.0) and table["bleu"].isna()[1]


def test_what_is_cut_off_is_said_and_may_be_longer(run, caplog):
    assert list(run.predict("last: red cat blue", method="greedy")["written"]) == ["blue"]
    assert "no end" not in caplog.text
    run.predict(["", "last: red cat blue"], method="greedy", max_tokens=1)
    assert "sentence 2: no end within 1 tokens; max_tokens=2 lets more be written (1 such)" in caplog.text
    with pytest.raises(SettingError, match="max_tokens: expected 0 to 10000, got -1"):
        run.predict("last: red cat blue", max_tokens=-1)


def test_short_texts_may_have_the_longest_targets_of_the_training(tmp_path, caplog):
    draw = np.random.default_rng(0)
    texts = [(f"tell: {each}", " ".join(draw.choice(WORDS, 50))) for each in range(100)]
    short = {"epochs": 1, "steps_per_epoch": 1}
    found = trained(tmp_path / "run", data={"source": texts}, train=TRAIN | short)
    assert found.assets["longest_target"] > 50
    for method in ("greedy", "beam"):
        caplog.clear()
        found.predict("tell: 3", method=method)  # of a network that has learned nothing
        assert f"no end within {found.assets['longest_target']} tokens" in caplog.text


def test_an_answer_rests_on_the_word_that_its_task_asks_for(run):
    found = run.explain(["first: red cat blue", "last: red cat blue"])
    assert {"sentence", "source", "answer", "token", "because", "difference", "gap"} <= set(found.table.columns)
    own = found.table.groupby("sentence").first()
    assert own["answer"].tolist() == ["red", "blue"] and (own["gap"] < 0.1).all()
    for number, word in ((1, "red"), (2, "blue")):
        assert word in own["because"][number].split(" ")[0], own["because"][number]
    assert any("attention" in name for name in found.figures)
    assert "What each answer rests on" in found.title


def test_several_are_written_by_beam_and_drawn(run):
    best = run.predict("first: red cat", n_best=3, beam_width=4)
    assert list(best["rank"]) == list(range(1, len(best) + 1)) and best["score"].is_monotonic_decreasing
    drawn = [run.predict("first: red cat", method="sample", temperature=3.0, n_best=4, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0].equals(drawn[1]) and not drawn[0].equals(drawn[2])


def test_what_the_training_did_not_have_is_said(run, caplog):
    with caplog.at_level("WARNING", logger="kit"):
        run.predict(["third: red cat", "last: red", f"last: {'red ' * 200}"])
    said = "\n".join(caplog.messages)
    assert "text:1: no task of the training in front; known are 'first: ...', 'last: ...' (1 such texts)" in said
    assert "tokens, where training had at most 128 (data.max_length): worse may be written (1 such texts)" in said


def test_rates_are_of_the_training_alone():
    def data(**settings):
        return config.call(recipe.texts_to_texts, 0, None, **{"source": rows(), "vocabulary_size": 60, **settings})

    plain, mixed = data(), data(task_rates=("first=9", "last=1"))
    assert [len(each) for each in (plain.train, plain.test)] == [len(each) for each in (mixed.train, mixed.test)]
    chosen = np.concatenate(list(mixed.train.batching.training_rows(mixed.train, 16, 0, 0, 40)))
    assert np.mean(mixed.train.extra("task")[chosen] == "first") == pytest.approx(0.9, abs=0.02)
    assert plain.assets == mixed.assets


def test_tokens_of_a_run_are_not_learned_again(monkeypatch):
    first = config.call(recipe.texts_to_texts, 0, None, source=rows(), vocabulary_size=60)
    monkeypatch.setattr(Tokenizer, "learn", None)
    kept = Kept(first.assignment, first.assets)
    again = config.call(recipe.texts_to_texts, 0, kept, source=rows(), vocabulary_size=60)
    assert again.assets == first.assets and again.facts == first.facts


def test_tasks_go_on_from_a_run_of_span_corruption(tmp_path, caplog):
    texts = [" ".join(np.random.default_rng(seed).choice(WORDS, 40)) for seed in range(20)]
    spans = {"source": texts, "objective": "span_corruption", "vocabulary_size": 60, "max_length": 24}
    first = trained(tmp_path / "first", data=spans)
    assert set(first.metrics["test"]) == {"cross_entropy", "perplexity", "token_accuracy"}
    assert "val_chrf" not in first.history and "val_loss" in first.history
    table = (first.folder / "tables" / "1_spans_that_were_left_out.csv").read_text()
    assert "<extra_id_0>" in table
    found = first.predict("red <extra_id_0> cat", method="greedy")
    assert len(found) == 1
    with caplog.at_level("INFO", logger="kit"):
        second = trained(
            tmp_path / "second",
            data={"tokenizer": str(first.folder)},
            train=TRAIN | {"epochs": 0, "start_from": str(first.folder)},
        )
    assert "new are" not in caplog.text
    assert second.assets["tokenizer"] == first.assets["tokenizer"]
    for ours, theirs in zip(second.model.get_weights(), first.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_switch_transformers_train_with_the_loss_of_an_even_load(tmp_path):
    network = NETWORK | {"num_experts": 2, "experts_interval": 1}
    run = trained(tmp_path / "run", model={"backbone": "switch_t5_tiny"}, backbone=network)
    assert run.history["loss"].notna().all()
    model = kit.recipes.text_to_text_model(
        30, backbone=recipe.architectures.VARIANTS["switch_t5_tiny"][0](30, 0, **network)
    )
    model({"source": np.ones((1, 4)), "target": np.ones((1, 3))}, training=True)
    assert len(model.losses) == 2


def published(folder, name="t5"):
    """Publishes a fixture with a tokenizer of its 40 tokens."""
    content, weights, _, _ = fixture(name)
    folder = publish(folder, weights, content)
    letters = [f"▁{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"] + ["▁", "a", "b", "c", "d", ":"]
    vocabulary = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], *([letter, -2.0] for letter in letters)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    names = ["<pad>", "</s>", "<unk>"]
    added = [{"id": number, "content": each} | flags for number, each in enumerate(names)]
    added += [{"id": len(vocabulary) + 1 - number, "content": f"<extra_id_{number}>"} | flags for number in (1, 0)]
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": space,
        "decoder": space,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": vocabulary},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


LETTERS = [(f"copy: {a} {b} c", f"{a} {b} c") for a in "abcdefghijk" for b in "abcdefghi"]


@pytest.mark.parametrize("name", ["t5", *(slow("t5_v1_1"), slow("switch_transformers"))])
def test_a_folder_of_published_weights_brings_network_and_tokenizer_and_is_written_back(name, tmp_path):
    folder = published(tmp_path / "weights", name)
    (tmp_path / "letters.tsv").write_text("".join(f"{text}\t{target}\n" for text, target in LETTERS))
    settings = {
        "data": {"source": str(tmp_path / "letters.tsv")},
        "model": {"weights": str(folder)},
        "evaluate": EVALUATE,
    }
    run = kit.train("text_to_text", folder=tmp_path / "run", train=TRAIN | {"epochs": 0}, verbose=False, **settings)
    assert run.settings["model"]["backbone"] == ("switch_transformers" if "switch" in name else "t5")
    tokenizer = Tokenizer(run.assets["tokenizer"])
    assert (tokenizer.start_id, tokenizer.end_id, tokenizer.pad_id) == (0, 1, 0)
    done = export(run.folder, "safetensors", tmp_path / "again")
    assert done.difference == 0
    for key, value in Tensors(folder).items():
        np.testing.assert_array_equal(Tensors(done.path)[key], value)
    written = json.loads((done.path / "config.json").read_text())
    assert written["decoder_start_token_id"] == 0 and written["vocab_size"] == 40


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bert", "model.weights: .* holds a bert, which text_to_text has no use for"),
        ("gpt2", "model.weights: .* holds a gpt2, which text_to_text has no use for"),
    ],
)
def test_weights_of_another_family_are_refused(name, message, tmp_path):
    content, weights, _, _ = fixture(name)
    folder = publish(tmp_path / "weights", weights, content)
    with pytest.raises(SettingError, match=message):
        kit.train("text_to_text", data=LETTERS, model={"weights": str(folder)}, folder=tmp_path / "run", verbose=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "manual"}, "source: no file or folder 'manual'; expected a path, or a name: phrases"),
        ({"source": "phrases", "objective": "span_corruption"}, "expected a path, or a name: manual"),
        ({"objective": "span_corruption", "source": "manual", "task_rates": ("a=1",)}, "objective: expected 'tasks'"),
        ({"corruption_rate": 0.3}, "objective: expected 'span_corruption' with data.corruption_rate"),
        ({"objective": "span_corruption", "source": "manual", "corruption_rate": 0.0}, "corruption_rate: expected"),
        ({"objective": "span_corruption", "source": "manual", "mean_span": 0.5}, "mean_span: expected 1 to 100"),
        ({"max_length": 4}, "max_length: expected 8 to 10000"),
        ({"num_texts": 600, "source": [("a: b", "c")]}, "num_texts: expected none where texts are not generated"),
        ({"task_rates": ("x=2",), "source": rows()}, "task_rates: no task 'x' in training"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(KitError, match=message):
        config.call(recipe.texts_to_texts, 0, None, **{"vocabulary_size": 60} | settings)


def test_a_tokenizer_without_sentinels_cannot_pre_train(tmp_path):
    folder = published(tmp_path / "weights")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"] = content["added_tokens"][:3]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(KitError, match="its tokenizer has no <extra_id_0>"):
        config.call(
            recipe.texts_to_texts,
            0,
            None,
            source=["a b c d e f g h i j k l"] * 9,
            objective="span_corruption",
            tokenizer=str(folder),
            max_length=8,
        )


def test_the_model_learns_one_batch():
    keras.utils.set_random_seed(0)
    network = recipe.architectures.VARIANTS["t5_tiny"][0](30, 0, **NETWORK)
    model = kit.recipes.text_to_text_model(30, backbone=network, optimizer=keras.optimizers.Adam(0.01))
    random = np.random.default_rng(0)
    inputs = {name: random.integers(1, 30, (8, 5)) for name in ("source", "target")}
    inputs["target"][:, 0] = 0
    labels = np.concatenate([inputs["target"][:, 1:], np.ones((8, 1), int)], 1)
    many = {name: np.tile(ids, (100, 1)) for name, ids in inputs.items()}
    model.fit(many, np.tile(labels, (100, 1)), batch_size=8, shuffle=False, verbose=0)
    assert (model.predict(inputs, verbose=0).argmax(-1) == labels).mean() > 0.95


def test_padding_changes_nothing():
    network = recipe.architectures.VARIANTS["t5_tiny"][0](30, 0, **NETWORK)
    model = kit.recipes.text_to_text_model(30, backbone=network)
    random = np.random.default_rng(0)
    inputs, labels = (
        {name: random.integers(1, 30, (4, 5)) for name in ("source", "target")},
        random.integers(1, 30, (4, 5)),
    )
    longer = {name: np.pad(ids, ((0, 0), (0, 6))) for name, ids in inputs.items()}
    one = model.evaluate(inputs, labels, verbose=0)
    assert model.evaluate(longer, np.pad(labels, ((0, 0), (0, 6))), verbose=0) == pytest.approx(one, rel=1e-4)


def test_weights_are_loaded_by_the_builder(tmp_path):
    folder = published(tmp_path / "weights")
    arguments = family.arguments(json.loads((folder / "config.json").read_text()), folder)
    network = recipe.architectures.VARIANTS["t5"][0](**arguments)
    model = kit.recipes.text_to_text_model(40, backbone=network, weights=str(folder))
    back = loading.tensors_of(model, family.FAMILY)
    np.testing.assert_array_equal(back["shared.weight"], fixture("t5")[1]["shared.weight"])
