"""Language modelling: what it writes, at once and piece by piece; scores, baselines, experts, what is refused."""

import gc
import weakref

import keras
import numpy as np
import pandas as pd
import pytest
import tokenizers

import kit
from kit import cli
from kit.commands.export import export
from kit.data.lossless_tokens import LosslessTokens, beginning_of
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError
from kit.files import read_json
from kit.runs import finished
from kit.scoring import ngrams
from kit.tasks import language
from tests import processes
from tests.moments import AfterBatch

WORDS = ("one", "two", "three", "four", "five")


def documents(count=40, seed=0):
    draw = np.random.default_rng(seed)
    return [" ".join(WORDS[number % 5] for number in range(start, start + 12)) for start in draw.integers(0, 5, count)]


def trained(folder, data=None, **tables):
    settings = {"model": {"backbone": "gpt2_tiny"}, "backbone": {"dim": 32, "depth": 1, "num_heads": 2}}
    settings["train"] = {"epochs": 2, "batch_size": 8, "steps_per_execution": 1}
    settings["evaluate"] = {"bootstrap_samples": 50}
    settings["optimizer"] = {"learning_rate": 0.01}
    for name, own in tables.items():
        settings[name] = settings.get(name, {}) | own if name != "backbone" else own
    data = {"source": documents(), "token_kind": "characters", "max_length": 48, "stride": 2} | (data or {})
    return kit.train("language_modelling", folder=folder, data=data, verbose=False, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("language") / "run", train={"epochs": 4})


def test_it_counts_on(run):
    text = run.predict("one two three", max_tokens=20, method="greedy")["text"][0]
    assert text.startswith(" four five one two")
    assert run.metrics["test"]["bits_per_character"] < 1
    assert run.metrics["test"]["bits_per_character_low"] <= run.metrics["test"]["bits_per_character"]
    assert run.metrics["test"]["nats"] == pytest.approx(
        run.metrics["test"]["cross_entropy"] * run.metrics["test"]["tokens"]
    )
    beside = run.metrics["baseline"]
    assert 0 < beside["bits_per_character"] < beside["others"][0]["bits_per_character"]
    written = pd.read_csv(run.folder / "samples" / "1_written_while_it_trained.csv")
    assert written["epoch"].tolist() == [1, 2, 4]
    page = (run.folder / "report.html").read_text()
    assert "Written while it trained" in page
    assert f"xz -9e: bits per character {beside['others'][0]['bits_per_character']:.4g}"[:32] in page


@pytest.mark.parametrize("settings", [{"method": "greedy"}, {"seed": 3}, {"seed": 3, "top_k": 4, "temperature": 1.5}])
@pytest.mark.parametrize("stop", [(), ("four",), ("e t",)])
def test_piece_by_piece_it_writes_the_same(run, settings, stop):
    settings = settings | {"max_tokens": 100, "stop": stop}  # more than its positions
    whole = run.predict("one two", **settings)
    pieces = list(run.stream("one two", **settings))
    assert "".join(pieces) == f"one two{whole['text'][0]}"
    assert stop or len(pieces) > 5
    assert all(each not in whole["text"][0] for each in stop)


def test_several_texts_are_not_streamed(run):
    assert run.stream(["one", "two"]) is None
    assert run.stream("one", n=2) is None


def test_bytes_are_streamed_as_whole_characters():
    tokenizer = LosslessTokens("bytes").learn(["a"])
    ids = tokenizer.encode(["ü☃ a"])[0]
    pieces = list(language._pieces(tokenizer, "", [], ids, ()))
    assert [each for each in pieces if each] == ["ü", "☃", " ", "a"]


def test_a_space_in_front_of_what_follows_is_kept():
    known = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<s>": 0, "</s>": 1, "▁one": 2, "▁two": 3}))
    known.pre_tokenizer, known.decoder = tokenizers.pre_tokenizers.Metaspace(), tokenizers.decoders.Metaspace()
    known.add_special_tokens(["<s>", "</s>"])
    tokenizer = Tokenizer(known.to_str(), {"start": "<s>", "end": "</s>"})
    begun = [beginning_of(tokenizer), *tokenizer.encode(["one"])[0]]
    assert begun == [0, 2]  # a text begins with its start
    assert "".join(language._pieces(tokenizer, "one", begun, [3, 2, 1], ())) == "one two one"


def test_a_model_goes_when_nobody_holds_it(run):
    loaded = kit.load(run.folder)
    loaded.predict("one", max_tokens=3)
    model = weakref.ref(loaded.model)
    del loaded
    keras.utils.clear_session()
    gc.collect()
    assert model() is None


def test_prompts_of_different_lengths_are_answered_as_alone(run):
    prompts = ["one", "two three four five", ""]
    together = run.predict(prompts, max_tokens=12, method="greedy")
    for row, prompt in enumerate(prompts):
        alone = run.predict([prompt], max_tokens=12, method="greedy")
        assert together["text"][row] == alone["text"][0]


def test_drawn_texts_differ_and_come_back_with_the_seed(run):
    first, again = (run.predict("one", n=4, seed=5, max_tokens=30, temperature=2.0) for _ in range(2))
    assert first.equals(again)
    assert first["number"].tolist() == [1, 2, 3, 4]
    assert first["text"].nunique() > 1


def test_a_terminal_sees_it_as_it_is_written(run, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli.main(["predict", str(run.folder), "--text", "one two", "--max-tokens", "12", "--method", "greedy"]) == 0
    assert capsys.readouterr().out.startswith("one two three")


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        ("one ☃", {}, "text: has a character that the model has never seen"),
        ("o" * 48, {}, "48 tokens; expected at most 47, the positions of the network"),
        ("one", {"n": 2, "method": "greedy"}, "n: expected .*, got 2"),
        ("one", {"temperature": 0}, "temperature: expected .*, got 0"),
        ("one", {"top_p": 0}, "top_p: expected .*, got 0"),
        ("one", {"seed": -1}, "seed: expected .*, got -1"),
    ],
)
def test_what_cannot_be_written_is_refused(run, inputs, settings, message):
    with pytest.raises(KitError, match=message):
        run.predict(inputs, **settings)


@pytest.mark.parametrize(
    ("data", "tables", "message"),
    [
        ({"max_length": 1}, {}, "data.max_length: expected .*, got 1"),
        ({"stride": 49}, {}, "data.stride: expected .*, got 49"),
        ({"overlap": 48}, {}, "data.overlap: expected .*, got 48"),
        ({"max_length": 5000, "stride": 1}, {}, "the train split has .* tokens; expected more than"),
        ({"token_kind": "byte_bpe", "vocabulary_size": 100}, {}, "vocabulary_size: expected .*, got 100"),
        ({"cross_texts": False}, {"model": {"backbone": "gru"}, "backbone": {"dim": 8}}, "data.cross_texts is false"),
        ({}, {"model": {"backbone": "mistral_tiny"}, "backbone": {"window": 0}}, "window: expected .*, got 0"),
        (
            {},
            {"model": {"backbone": "llama_tiny"}, "backbone": {"num_key_value_heads": 3}},
            "num_key_value_heads: expected .*, got 3",
        ),
        (
            {},
            {"model": {"backbone": "switch_tiny"}, "backbone": {"capacity_factor": 0}},
            "capacity_factor: expected .*, got 0",
        ),
        ({}, {"model": {"backbone": "mixtral_tiny"}, "backbone": {"top_k": 9}}, "top_k: expected .*, got 9"),
    ],
)
def test_settings_that_cannot_be_are_refused(data, tables, message, tmp_path):
    with pytest.raises(SettingError if "split has" not in message else KitError, match=message):
        trained(tmp_path / "run", data, **tables)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("data", [{"overlap": 12}, {"cross_texts": False}, {"token_kind": "byte_bpe", "stride": None}])
def test_other_ways_of_cutting(data, tmp_path):
    found = trained(tmp_path / "run", data | {"vocabulary_size": 280} if "token_kind" in data else data)
    test = found.metrics["test"]
    assert np.isfinite(test["cross_entropy"])
    tests = (pd.read_csv(found.folder / "assets" / "splits.csv")["split"] == "test").sum()
    assert test["characters"] == sum(len(text) for text in documents()[:tests]) or test["characters"] > 0


@pytest.mark.parametrize("backbone", ["switch_tiny", "mixtral_tiny"])
def test_of_experts_the_load_is_told(backbone, tmp_path):
    own = {"dim": 16, "depth": 2, "feedforward_dim": 16, "num_experts": 4}
    found = trained(tmp_path / "run", model={"backbone": backbone}, backbone=own, train={"epochs": 1})
    table = pd.read_csv(found.folder / "tables" / "2_experts.csv")
    assert len(table) == 8
    np.testing.assert_allclose(table.groupby("layer")["share"].sum(), 1)
    assert found.metrics["test"]["busiest_expert_over_even"] >= 1
    assert (found.metrics["test"]["dropped_by_experts_share"] > 0) <= (backbone == "switch_tiny")
    assert (found.folder / "plots" / "3_experts.png").exists()


def test_a_run_begins_with_the_tokens_of_another(run, tmp_path):
    other = trained(tmp_path / "run", {"tokenizer": str(run.folder)}, train={"epochs": 1})
    assert other.assets["tokenizer"] == run.assets["tokenizer"]
    with pytest.raises(KitError, match="tokenizer"):
        trained(tmp_path / "bad", {"tokenizer": str(tmp_path)})


def test_rounded_to_eight_bits_it_is_nearly_as_good(run):
    how = {"overrides": {"evaluate.quantize": "int8"}, "data": documents()}
    after = finished.evaluate(run.folder, **how).metrics["cross_entropy"]
    assert 0 < abs(after - run.metrics["test"]["cross_entropy"]) < 0.1
    text = run.predict("one two three", max_tokens=8, method="greedy", quantize="int8")["text"][0]
    assert text == run.predict("one two three", max_tokens=8, method="greedy")["text"][0]


def test_n_grams_are_probabilities():
    text = "abracadabra " * 5 + "xyz"
    letters = sorted(set(text))
    for before in ("abra", "zzzz", "xy", ""):
        chances = [2 ** -ngrams.bits(text, before + letter)[-1] for letter in letters]
        assert 0.9 < sum(chances) <= 1 + 1e-9
    bits = [
        ngrams.bits("the cat sat on the mat. " * 20, "the cat sat on the mat. ", order).mean() for order in (1, 2, 5)
    ]
    assert bits[0] > bits[1] > bits[2] > 0
    assert ngrams.bits("abc" * 9, "☃")[0] > 20  # one of all that there are


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [
        ("gpt2_tiny", "gpt2"),
        ("mistral_tiny", "mistral"),
        ("qwen2_tiny", "qwen2"),
        ("qwen3_tiny", "qwen3"),
        ("mixtral_tiny", "mixtral"),
        ("qwen3_moe_tiny", "qwen3_moe"),
    ],
)
def test_written_as_others_publish_it_is_gone_on_with(backbone, kind, tmp_path):
    own = {"dim": 16, "num_heads": 2, "depth": 1}
    own |= {"num_experts": 2, "top_k": 1, "feedforward_dim": 8} if kind.endswith("x") or "moe" in kind else {}
    one = trained(tmp_path / "one", {"token_kind": "bytes"}, model={"backbone": backbone}, backbone=own)
    done = export(one.folder, "safetensors", tmp_path / "weights", data=documents())
    assert done.difference < 1e-5
    assert read_json(tmp_path / "weights" / "config.json")["model_type"] == kind
    weights = {"model": {"weights": str(tmp_path / "weights")}, "train": {"epochs": 0}}
    data = {"source": documents(), "max_length": 24}
    evaluate = {"bootstrap_samples": 50}
    other = kit.train(
        "language_modelling", folder=tmp_path / "two", data=data, verbose=False, evaluate=evaluate, **weights
    )
    assert other.metrics["params"] == one.metrics["params"]
    first, second = (run.predict("one two", max_tokens=10, method="greedy")["text"][0] for run in (one, other))
    assert first == second


def test_no_published_layout_holds_limited_experts(tmp_path):
    own = {"dim": 16, "depth": 1, "feedforward_dim": 16, "num_experts": 2}
    run = trained(tmp_path / "run", model={"backbone": "switch_tiny"}, backbone=own, train={"epochs": 1})
    with pytest.raises(KitError, match="safetensors: no published layout is known for 'switch_tiny'"):
        export(run.folder, "safetensors", tmp_path / "weights", data=documents())


def test_small_matrices_beside_the_kernels_are_learned(tmp_path):
    first = trained(tmp_path / "one")
    wanted = {"epochs": 2, "batch_size": 8, "lora_rank": 2, "start_from": str(first.folder)}
    data = {"tokenizer": str(first.folder), "source": documents(seed=1)}
    second = trained(tmp_path / "two", data, train=wanted)
    assert second.metrics["test"]["cross_entropy"] < 3


KILLED = ("train", "language_modelling", "--config", "smoke", "--train.deterministic", "true", "--train.epochs", "3")


@pytest.mark.slow
def test_a_killed_training_of_experts_ends_as_one_that_was_not(tmp_path):
    words = ("--model.backbone=switch_tiny", "--backbone.dim=16", "--backbone.depth=2", "--backbone.dropout=0.1")
    processes.assert_killed_ends_alike(tmp_path, AfterBatch(epoch=2, batch=1), *KILLED, *words)


@pytest.mark.slow
def test_a_killed_training_of_small_matrices_ends_as_one_that_was_not(tmp_path):
    processes.kit_done(*KILLED, "--folder", tmp_path / "before")
    words = ("--train.start_from", tmp_path / "before", "--train.lora_rank", "2")
    processes.assert_killed_ends_alike(tmp_path, AfterBatch(epoch=2, batch=1), *KILLED, *words)
