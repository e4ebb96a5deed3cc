"""Word vectors: what is near, what is drawn, words that are used alike, and files of vectors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kit
from kit import recipes
from kit.commands.export import export
from kit.data import vectors
from kit.data.skip_grams import IGNORED, SkipGramOptions, SkipGrams, skip_gram_examples, vocabulary, windows, words_in
from kit.errors import KitError, SettingError
from kit.training.losses import BinaryCrossentropy

TRAIN = {"epochs": 30, "batch_size": 64, "steps_per_execution": 1, "jit_compile": False, "patience": 0}
DATA = {"min_count": 1, "window": 2, "subsample": 0.0, "negatives": 3}


def documents(count=60):
    """Texts in which cat and dog stand in the same places, and so do tea and milk."""
    draw = np.random.default_rng(0)
    animals, drinks = ["cat", "dog"], ["tea", "milk"]
    lines = []
    for _ in range(count):
        animal, drink = draw.choice(animals), draw.choice(drinks)
        lines.append(f"the {animal} sleeps. my {animal} runs fast. we drink {drink} now. hot {drink} is good.")
    return lines


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return kit.train(
        "word_vectors",
        folder=tmp_path_factory.mktemp("vectors") / "run",
        data={"source": documents(), **DATA},
        model={"dim": 8},
        optimizer={"name": "adam", "learning_rate": 0.03},
        train=TRAIN,
        verbose=False,
    )


def test_words_around_end_with_the_text():
    texts = [words_in("A b, c 7 d!", True), words_in("b a", True)]
    assert texts == [["a", "b", "c", "d"], ["b", "a"]]
    ids = {"a": 1, "b": 2, "d": 3}
    centres, around, owners = windows(texts, ids, 2)
    assert centres.tolist() == [1, 2, 3, 2, 1] and owners.tolist() == [0, 0, 0, 1, 1]
    assert around.tolist() == [[0, 0, 2, 3], [0, 1, 3, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 2, 0, 0]]


def test_words_are_counted_the_most_frequent_first():
    texts = [["b", "a", "c", "a"], ["b", "d", "d"]]
    assert vocabulary(texts, SkipGramOptions(min_count=2)) == (["a", "b", "d"], [2, 2, 2])
    assert vocabulary(texts, SkipGramOptions(min_count=1, vocabulary_size=2)) == (["a", "b"], [2, 2])
    with pytest.raises(KitError, match=r"0 of 4 words occur 3 times or more .* \(data.min_count\)"):
        vocabulary(texts, SkipGramOptions(min_count=3))


def test_near_words_are_told_from_random_ones():
    """Which are near goes by the distance that is drawn; random ones by frequency, and none counts that is near."""
    counts = np.array([800, 150, 50])
    options = SkipGramOptions(window=3, negatives=4, subsample=0.0)
    draw = SkipGrams(counts, options, seed=1)
    rows = 4000
    words, around = np.full(rows, 2, "int32"), np.tile(np.array([0, 1, 2, 3, 1, 2], "int32"), (rows, 1))
    inputs, labels = draw(tf.constant(5, tf.int64), {"word": words, "others": around}, None)
    labels, others = labels.numpy(), inputs["others"].numpy()
    near = (labels[:, :6] == 1).mean(0)  # distances 3, 2, 1, 1, 2, 3; the first is no word
    np.testing.assert_allclose(near, [0, 2 / 3, 1, 1, 2 / 3, 1 / 3], atol=0.03)
    assert (labels[:, :6] != 0).all() and (labels[:, 6:] != 1).all()
    drawn, beside = others[:, 6:], np.repeat(around, 4, axis=1)
    shares = np.bincount(drawn.ravel(), minlength=4)[1:] / drawn.size
    np.testing.assert_allclose(shares, counts**0.75 / (counts**0.75).sum(), atol=0.01)
    is_near = np.repeat(labels[:, :6] == 1, 4, axis=1)
    np.testing.assert_array_equal(labels[:, 6:] == 0, is_near & (drawn != beside))
    again = draw(tf.constant(5, tf.int64), {"word": words, "others": around}, None)[1]
    other = draw(tf.constant(6, tf.int64), {"word": words, "others": around}, None)[1]
    assert (again.numpy() == labels).all() and (other.numpy() != labels).any()


def test_frequent_words_are_left_out_at_times():
    draw = SkipGrams(np.array([999, 1]), SkipGramOptions(window=1, negatives=1, subsample=0.1), seed=0)
    kept = np.sqrt(0.1 / 0.999) + 0.1 / 0.999
    np.testing.assert_allclose(draw.kept, [0, kept, 1], rtol=1e-5)
    inputs = {"word": np.full(20_000, 2, "int32"), "others": np.ones((20_000, 2), "int32")}
    labels = draw(tf.constant(0, tf.int64), inputs, None)[1].numpy()
    assert (labels[:, :2] == 1).mean() == pytest.approx(kept, abs=0.01)


def test_held_out_words_are_drawn_once_and_anew_where_they_train():
    draw = SkipGrams(np.array([5, 5]), SkipGramOptions(window=1, negatives=2), seed=0)
    words, around = np.array([1, 2], "int32"), np.array([[0, 2], [1, 0]], "int32")
    train, held_out = (skip_gram_examples(words, around, draw, is_training) for is_training in (True, False))
    inputs, labels = held_out.arrays([0, 1])
    assert inputs["others"].shape == labels.shape == (2, 6) and held_out.transform is None
    both = train.join(held_out)
    assert len(both) == 4 and both.transform is draw


def test_the_loss_is_the_mean_over_what_counts():
    labels, logits = (
        np.array([[1, 0, IGNORED], [IGNORED] * 3]),
        np.array([[2.0, -1.0, 9.0], [1.0, 1.0, 1.0]], "float32"),
    )
    expected = np.mean([np.log1p(np.exp(-2.0)), np.log1p(np.exp(-1.0))])
    loss = BinaryCrossentropy(ignore_class=IGNORED)
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-6)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(labels, logits)) == pytest.approx(expected, rel=1e-6)


def test_logits_are_products_of_vectors():
    model = recipes.word_embedder(5, dim=3)
    model.get_layer("context_embedding").embeddings.assign(np.random.default_rng(0).normal(size=(6, 3)))
    words, others = np.array([2, 5], "int32"), np.array([[1, 3, 4], [5, 0, 2]], "int32")
    one, other = (model.get_layer(f"{name}_embedding").get_weights()[0] for name in ("word", "context"))
    expected = np.einsum("bd,bnd->bn", one[words], other[others])
    np.testing.assert_allclose(model.predict_on_batch({"word": words, "others": others}), expected, rtol=1e-5)


def test_words_in_the_same_places_are_alike(run):
    for word, other in (("cat", "dog"), ("tea", "milk")):
        assert run.predict(word)["word"][0] == other
    test = run.metrics["test"]
    assert test["pair_accuracy"] > 0.8 > test["frequency_accuracy"]
    assert test["pair_accuracy_low"] < test["pair_accuracy"] < test["pair_accuracy_high"]
    assert run.predict("cat - dog + tea")["word"][0] == "milk"


def test_what_has_no_vector_is_told(run):
    table = run.predict(["the zebra", "Cat"], top_k=2)
    assert table["unknown"].tolist() == ["zebra", "zebra", "", ""] and len(table) == 4
    with pytest.raises(KitError, match="text:1: no word of 'caat' has a vector; expected one of .* did you mean 'cat'"):
        run.predict("caat")
    with pytest.raises(KitError, match="no words"):
        run.predict(" ")


def test_vectors_are_written_as_word2vec_writes_them(run, tmp_path):
    """And text classification begins with them."""
    done = export(run.folder, "word2vec", tmp_path / "vectors.txt", data=documents())
    assert done.difference == 0
    words, matrix = vectors.read(done.path, lowercase=False)
    assert words == run.assets["words"]
    np.testing.assert_array_equal(matrix, run.model.get_layer("word_embedding").get_weights()[0][1:])
    texts = [(text.split(". ")[number % 4], "ab"[number % 4 > 1]) for number, text in enumerate(documents())]
    tagger = kit.train(
        "text_classification",
        folder=tmp_path / "run",
        data={"source": texts, "vectors": str(done.path), "min_count": 1},
        model={"embedding_dim": 8, "backbone": "text_cnn"},
        train={"epochs": 0, "batch_size": 8},
        evaluate={"bootstrap_samples": 10, "baseline": False},
        verbose=False,
    )
    table = tagger.model.get_layer("token_embedding").get_weights()[0]
    row = matrix[words.index("cat")]
    assert np.isclose(table, row, atol=1e-6).all(1).any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"window": 0}, r"data\.window: expected 1 to 50"),
        ({"subsample": 1.0}, r"data\.subsample: expected a share from 0 to below 1"),
        ({"min_count": 10**6}, r"0 of .* words occur 1000000 times or more"),
        ({"source": ["a b", "c d"]}, r"2 documents; expected at least 3"),
    ],
)
def test_bad_data_is_refused(data, message, tmp_path):
    with pytest.raises((KitError, SettingError), match=message):
        kit.train("word_vectors", folder=tmp_path / "run", data={"source": documents(), **data}, verbose=False)
    assert not (tmp_path / "run").exists()


def test_a_run_without_words_has_no_vectors(small_run, tmp_path):
    with pytest.raises(KitError, match="word2vec: image_classification learns no vectors of whole words"):
        export(small_run.folder, "word2vec", tmp_path / "vectors.txt")
