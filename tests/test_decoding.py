"""Greedy, beam and sampling on networks small enough for brute force."""

import inspect
import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

from kit import decoding
from kit.blocks.transformer import TransformerDecoder
from kit.decoding import Tokens, beam_search, compilation
from kit.errors import SettingError
from kit.models import text
from kit.models.text import llama
from kit.models.text.causal_decoder import next_tokens, writing_step

TOKENS = Tokens(start=1, end=2)
VOCABULARY = 5


def table_model(seed=0, length=4):
    """Returns (step, initial_state) of a network whose next token depends on the row, the place and all tokens so far.

    What it has seen stands in its moving state, so that a wrong order of beams changes the result.
    """
    random = np.random.default_rng(seed)
    rows = random.normal(0, 2, (20, length, VOCABULARY)).astype("float32")
    memory = random.normal(0, 2, (VOCABULARY * 7, VOCABULARY)).astype("float32")

    def initial_state(inputs, max_length):
        table = ops.take(ops.convert_to_tensor(rows), inputs, axis=0)
        return {"fixed": {"table": table}, "moving": (ops.zeros_like(inputs),)}

    def step(tokens, position, state):
        (seen,) = state["moving"]
        seen = (seen * 3 + tokens) % (VOCABULARY * 7)
        logits = ops.take(state["fixed"]["table"], position, axis=1) + ops.take(memory, seen, axis=0)
        return logits, {"moving": (seen,)}

    return step, initial_state


def log_probabilities(model, row, tokens):
    """Returns the log-probability of each token of one sequence, by calling the network without any decoding."""
    step, initial_state = model
    state = initial_state(np.array([row], "int32"), 4)
    last, found = TOKENS.start, []
    for position, token in enumerate(tokens):
        logits, following = step(np.array([last], "int32"), position, state)
        state = {**state, **following}
        found.append(float(ops.log_softmax(logits)[0, token]))
        last = token
    return found


def all_sequences(length):
    """Returns every sequence that ends within a length, and those that do not."""
    others = [token for token in range(VOCABULARY) if token != TOKENS.end]
    ended = [(*start, TOKENS.end) for count in range(length) for start in itertools.product(others, repeat=count)]
    return ended, list(itertools.product(others, repeat=length))


def trimmed(sequence):
    """Returns a padded sequence up to its end."""
    tokens = [int(token) for token in sequence]
    return tuple(tokens[: tokens.index(TOKENS.end) + 1]) if TOKENS.end in tokens else tuple(tokens)


def decode(model, method, batch=3, **settings):
    sequences, scores = decoding.compiled(model, method, TOKENS, **settings)(np.arange(batch, dtype="int32"))
    return np.asarray(sequences), np.asarray(scores)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_beam_of_full_width_is_brute_force(seed, length_penalty):
    model = table_model(seed)
    sequences, scores = decode(
        model, decoding.beam, max_length=4, beam_width=VOCABULARY**3, length_penalty=length_penalty, num_results=6
    )
    for row in range(3):
        true = {
            tokens: sum(log_probabilities(model, row, tokens)) / ((5 + len(tokens)) / 6) ** length_penalty
            for tokens in all_sequences(4)[0]
        }
        best = sorted(true, key=true.get, reverse=True)[:6]
        assert [trimmed(each) for each in sequences[row]] == best
        np.testing.assert_allclose(scores[row], [true[tokens] for tokens in best], rtol=1e-4)


def test_beam_of_one_without_penalty_is_greedy():
    for seed in range(5):
        model = table_model(seed)
        one, _ = decode(model, decoding.beam, max_length=4, beam_width=1, length_penalty=0.0)
        greedy, scores = decode(model, decoding.greedy, max_length=4)
        for row in range(3):
            tokens = trimmed(greedy[row])
            assert scores[row] == pytest.approx(sum(log_probabilities(model, row, tokens)), rel=1e-4)
            if TOKENS.end in tokens:
                assert trimmed(one[row, 0]) == tokens


def test_greedy_takes_the_best_token_and_pads_behind_the_end():
    model = table_model(1)
    sequences, _ = decode(model, decoding.greedy, max_length=4)
    step, initial_state = model
    for row in range(3):
        tokens = trimmed(sequences[row])
        assert (sequences[row, len(tokens) :] == TOKENS.pad).all()
        state, last = initial_state(np.array([row], "int32"), 4), TOKENS.start
        for position, token in enumerate(tokens):
            logits, following = step(np.array([last], "int32"), position, state)
            state, last = {**state, **following}, token
            assert int(ops.argmax(logits[0])) == token


@pytest.mark.parametrize("settings", [{}, {"beam_width": 3}])
@pytest.mark.parametrize("max_length", [4, lambda inputs: 4])
def test_a_trial_writes_the_first_tokens_alone(settings, max_length):
    model, method = table_model(1), decoding.beam if settings else decoding.greedy
    with decoding.at_most(2):
        first, _ = decode(model, method, max_length=max_length, **settings)
    whole, _ = decode(model, method, max_length=max_length, **settings)
    assert (first.shape[-1], whole.shape[-1]) == (2, 4)
    if method is decoding.greedy:
        assert (first == whole[:, :2]).all()


def test_what_is_made_once_can_be_forgotten():
    model, made = keras.Sequential(), []
    for _ in range(2):
        assert decoding.made_once(model, "key", lambda: made.append(1) or "made") == "made"
    assert len(made) == 1
    decoding.forget_made(model)
    decoding.made_once(model, "key", lambda: made.append(1))
    assert len(made) == 2


def test_a_wider_beam_is_never_worse():
    model = table_model(7)
    best = [decode(model, decoding.beam, 20, max_length=4, beam_width=width)[1][:, 0] for width in (1, 4, 125)]
    assert best[0].mean() < best[2].mean()
    assert (best[2] >= best[1] - 1e-5).all()
    assert (best[2] >= best[0] - 1e-5).all()


def test_rows_do_not_see_each_other():
    model = table_model(3)
    together, scores = decode(model, decoding.beam, max_length=4, beam_width=4, num_results=2)
    function = decoding.compiled(model, decoding.beam, TOKENS, max_length=4, beam_width=4, num_results=2)
    for row in range(3):
        alone, score = function(np.array([row], "int32"))
        np.testing.assert_array_equal(np.asarray(alone)[0], together[row])
        np.testing.assert_allclose(np.asarray(score)[0], scores[row], rtol=1e-5)


def never_ending(seed=0):
    step, initial_state = table_model(seed)

    def endless(tokens, position, state):
        logits, following = step(tokens, position, state)
        return logits - 1e9 * ops.cast(ops.arange(VOCABULARY) == TOKENS.end, "float32"), following

    return endless, initial_state


def test_what_comes_to_no_end_is_returned_as_it_is():
    for method, settings in ((decoding.greedy, {}), (decoding.beam, {"beam_width": 125})):
        sequences, scores = decode(never_ending(), method, max_length=4, **settings)
        flat = sequences.reshape(3, -1, 4)[:, 0]
        assert not (flat == TOKENS.end).any()
        assert np.isfinite(scores).all()
        assert (scores > -100).all()


@pytest.mark.parametrize("columns", [1000, 1009, 1250])
def test_largest_sums_are_those_of_all(columns):
    random = np.random.default_rng(0)
    values = random.normal(size=(4, 5, columns)).astype("float32")
    offsets = random.normal(size=(4, 5)).astype("float32")
    offsets[1] = [0, -1e9, -1e9, -1e9, -1e9]
    found, places = beam_search.largest_sums(ops.convert_to_tensor(values), ops.convert_to_tensor(offsets), 10)
    flat = (values + offsets[..., None]).reshape(4, -1)
    expected = np.argsort(-flat, axis=1)[:, :10]
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_allclose(found, np.take_along_axis(flat, expected, axis=1))


def test_sampling_follows_the_probabilities():
    model = table_model(2)
    step, initial_state = model
    state = initial_state(np.zeros(1, "int32"), 4)
    logits, _ = step(np.array([TOKENS.start], "int32"), 0, state)
    expected = np.asarray(ops.softmax(logits))[0]

    def shares(**settings):
        function = decoding.compiled(model, decoding.sample, TOKENS, max_length=1, seed=5, **settings)
        sequences, scores = function(np.zeros(20_000, "int32"))
        first = np.asarray(sequences)[:, 0]
        np.testing.assert_allclose(np.asarray(scores), np.log(expected)[first], rtol=1e-3)
        return np.bincount(first, minlength=VOCABULARY) / 20_000

    np.testing.assert_allclose(shares(), expected, atol=0.015)
    cooled = expected**2 / (expected**2).sum()
    np.testing.assert_allclose(shares(temperature=0.5), cooled, atol=0.015)
    two = np.where(expected >= np.sort(expected)[-2], expected, 0)
    np.testing.assert_allclose(shares(top_k=2), two / two.sum(), atol=0.015)
    order = np.argsort(-expected)
    kept = order[: 1 + np.searchsorted(np.cumsum(expected[order]), 0.8)]
    nucleus = np.where(np.isin(np.arange(VOCABULARY), kept), expected, 0)
    np.testing.assert_allclose(shares(top_p=0.8), nucleus / nucleus.sum(), atol=0.015)


def test_sampling_repeats_with_its_seed():
    model = table_model(4)
    runs = [decode(model, decoding.sample, max_length=4, seed=seed)[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    many = [decode(model, decoding.sample, 20, max_length=4, seed=seed)[0] for seed in (1, 2)]
    assert (many[0] != many[1]).any()


def place_model(seed=0):
    """Returns (step, initial_state) of a network whose next token depends on the place and all tokens so far."""
    random = np.random.default_rng(seed)
    places = random.normal(0, 2, (12, VOCABULARY)).astype("float32")
    memory = random.normal(0, 2, (VOCABULARY * 7, VOCABULARY)).astype("float32")

    def initial_state(inputs, max_length):
        return {"fixed": (), "moving": (ops.zeros((ops.shape(inputs["prompt"])[0],), "int32"),)}

    def step(tokens, position, state):
        seen = (state["moving"][0] * 3 + tokens) % (VOCABULARY * 7)
        return ops.take(places, position, axis=0) + ops.take(memory, seen, axis=0), {"moving": (seen,)}

    return step, initial_state


def language_model(**settings):
    """Returns (step, initial_state, prefill) of a small decoder-only Transformer."""
    keras.utils.set_random_seed(3)
    embedding, decoder, head = (
        layers.Embedding(VOCABULARY, 8, embeddings_initializer=keras.initializers.RandomNormal(stddev=1)),
        TransformerDecoder(1, 2, 16, **settings),
        layers.Dense(VOCABULARY, kernel_initializer=keras.initializers.RandomNormal(stddev=2)),
    )
    head(decoder(embedding(np.zeros((1, 3), "int32"))))
    for weight in decoder.weights:
        if len(weight.shape) == 2:  # large ones, so that what came before matters
            weight.assign(keras.random.normal(weight.shape))

    def initial_state(inputs, max_length):
        return decoder.initial_state(max_length=max_length, batch_size=ops.shape(inputs["prompt"])[0])

    def step(tokens, position, state):
        x, state, _ = decoder.step(embedding(tokens), position, state)
        return head(x), state

    def prefill(tokens, lengths, state):
        return decoder.prefill(embedding(tokens), lengths, state)

    return step, initial_state, prefill


PROMPTS = [[1, 3, 4, 0, 3], [1], [4, 4, 1]]
METHODS = {
    "greedy": (decoding.greedy, {}),
    "beam": (decoding.beam, {"beam_width": 4, "num_results": 2}),
    "sample": (decoding.sample, {"seed": 0, "top_k": 1}),
}


def continued(model, method, prompts, **settings):
    """Returns sequences and scores behind prompts; eager, which is faster for a few small calls than compiling."""
    step, initial_state, *prefill = model
    inputs = padded(prompts)
    state = initial_state(inputs, 5 + inputs["prompt"].shape[1] - 1)
    prefill = prefill[0] if prefill else None
    found = method(step, state, TOKENS, max_length=5, prefill=prefill, **inputs, **settings)
    return [np.asarray(each) for each in found]


def padded(prompts):
    longest = max(map(len, prompts))
    return {
        "prompt": np.array([[*each, *[2] * (longest - len(each))] for each in prompts], "int32"),
        "lengths": np.array([len(each) for each in prompts], "int32"),
    }


@pytest.mark.parametrize(
    "model",
    [
        place_model(),
        language_model(positions="rotary", normalization="rms", num_key_value_heads=1),
        language_model(positions="learned", max_length=10, window=4),
        language_model(positions="rotary", window=4),
        language_model(positions="rotary")[:2],
    ],
    ids=["any network", "rotary", "learned and window", "rotary and window", "token by token"],
)
@pytest.mark.parametrize("name", METHODS)
def test_prompts_of_different_lengths_are_continued_as_each_alone(name, model):
    method, settings = METHODS[name]
    together, scores = continued(model, method, PROMPTS, **settings)
    for row, prompt in enumerate(PROMPTS):
        alone, score = continued(model, method, [prompt], **settings)
        np.testing.assert_array_equal(alone[0], together[row])
        np.testing.assert_allclose(score[0], scores[row], rtol=1e-4)
    assert len({tuple(row) for row in together.reshape(-1, 5)}) > 1


def test_prompts_in_a_compiled_function():
    tf = pytest.importorskip("tensorflow")
    model = language_model(positions="learned", max_length=20)
    signature = {"prompt": tf.TensorSpec((None, None), tf.int32), "lengths": tf.TensorSpec((None,), tf.int32)}
    decode = decoding.compiled(
        model,
        decoding.beam,
        TOKENS,
        max_length=5,
        beam_width=3,
        signature=signature,
        prompt=lambda inputs: (inputs["prompt"], inputs["lengths"]),
    )
    for prompts in (PROMPTS, PROMPTS[1:2]):
        for one, other in zip(
            decode(padded(prompts)), continued(model, decoding.beam, prompts, beam_width=3), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-4)


def test_what_a_row_has_read_stays_where_it_stands_when_others_read_on():
    """Compiled, places are written where they are; those of a window come to be written again."""
    model = language_model(positions="rotary", window=2)
    for steps in (model, model[:2]):
        decode = decoding.compiled(
            steps,
            decoding.greedy,
            TOKENS,
            max_length=5,
            prompt=lambda inputs: (inputs["prompt"], inputs["lengths"]),
        )
        for one, other in zip(decode(padded(PROMPTS)), continued(model, decoding.greedy, PROMPTS), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4)


SETTINGS = [{}, {"positions": "learned", "max_length": 10, "norm": "post"}, {"positions": "rotary", "window": 2}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_prompt_read_at_once_is_one_read_token_by_token(settings):
    model = language_model(**settings)
    for name, (method, more) in METHODS.items():
        one, other = (continued(each, method, PROMPTS, **more) for each in (model, model[:2]))
        np.testing.assert_array_equal(one[0], other[0], err_msg=name)
        np.testing.assert_allclose(one[1], other[1], rtol=1e-4)


def test_the_start_token_alone_is_a_prompt():
    model = place_model(2)
    inputs = {"prompt": np.zeros((3, 0), "int32")}
    for method, settings in METHODS.values():
        found = [
            np.asarray(each) for each in decoding.compiled(model, method, TOKENS, max_length=5, **settings)(inputs)
        ]
        for one, other in zip(found, continued(model, method, [[TOKENS.start]] * 3, **settings), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_follows_a_prompt_is_the_networks():
    step, _ = model = place_model(1)
    found, scores = continued(model, decoding.greedy, PROMPTS)
    for prompt, tokens, score in zip(PROMPTS, map(trimmed, found), scores, strict=True):
        state, total = {"moving": (np.zeros(1, "int32"),)}, 0
        for place, token in enumerate(prompt[:-1]):
            _, state = step(np.array([token]), place, state)
        last = prompt[-1]
        for place, token in enumerate(tokens, len(prompt) - 1):
            logits, state = step(np.array([last]), place, state)
            assert int(ops.argmax(logits[0])) == token
            total, last = total + float(ops.log_softmax(logits)[0, token]), token
        assert score == pytest.approx(total, rel=1e-4)


def test_each_of_several_ends_ends():
    tokens = Tokens(start=1, end=(2, 4), pad=0)
    for seed in range(2):
        model = table_model(seed)
        for method, settings in (decoding.greedy, {}), (decoding.beam, {"beam_width": VOCABULARY**3}):
            found, _ = decoding.compiled(model, method, tokens, max_length=4, **settings)(np.arange(3, dtype="int32"))
            for row in np.asarray(found).reshape(-1, 4):
                ends = np.flatnonzero(np.isin(row, (2, 4)))
                assert len(ends) <= 1
                assert not row[ends[0] + 1 :].any() if len(ends) else True
    model = table_model(0)
    best = {}
    for end in (2, 4, (2, 4)):
        found, scores = decoding.compiled(
            model, decoding.beam, Tokens(1, end), max_length=4, beam_width=VOCABULARY**3, length_penalty=0.0
        )(np.arange(3, dtype="int32"))
        best[end] = np.asarray(scores)[:, 0]
    assert (best[2, 4] >= np.maximum(best[2], best[4]) - 1e-5).all()


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"lengths": [0, 1]}, "lengths"),
        ({"lengths": np.array([1, 4])}, "lengths"),
        ({"prompt": None}, "prompt"),
    ],
)
def test_prompts_that_cannot_be(arguments, key):
    step, initial_state = place_model()
    prompt = np.ones((2, 3), "int32")
    with pytest.raises(SettingError, match=f"^{key}: expected"):
        decoding.greedy(
            step,
            initial_state({"prompt": prompt}, 5),
            Tokens(None, 2),
            max_length=3,
            **{"prompt": prompt, **arguments},
        )


@pytest.mark.parametrize(
    ("method", "settings", "key"),
    [
        (decoding.beam, {"beam_width": 0}, "beam_width"),
        (decoding.beam, {"beam_width": 2, "num_results": 3}, "num_results"),
        (decoding.beam, {"beam_width": 2, "length_penalty": -1}, "length_penalty"),
        (decoding.sample, {"seed": 0, "temperature": 0}, "temperature"),
        (decoding.sample, {"seed": 0, "top_k": -1}, "top_k"),
        (decoding.sample, {"seed": 0, "top_p": 0}, "top_p"),
    ],
)
def test_settings_that_cannot_be(method, settings, key):
    with pytest.raises(SettingError, match=f"{key}: expected"):
        decode(table_model(), method, max_length=4, **settings)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("method", [decoding.greedy, decoding.beam])
def test_compiled_it_is_the_same_each_time_and_what_it_is_uncompiled(method, batch):
    """Caches are written in place: nothing of one call may be in the next."""
    backbone = llama.llama(30, None, **llama.VARIANTS["qwen3_tiny"] | {"dim": 16, "head_dim": 8, "depth": 2})
    step = writing_step(keras.Model(backbone.input, next_tokens(backbone, backbone.output)))
    tokens = Tokens(start=None, end=-1)
    more = {} if method is decoding.greedy else {"beam_width": 2}
    write = decoding.compiled(
        step, method, tokens, max_length=9, prompt=lambda inputs: (inputs["ids"], inputs["lengths"]), **more
    )
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 6, batch).astype("int32")
    prompts = [{"ids": draw.integers(1, 30, (batch, 5)).astype("int32"), "lengths": lengths} for _ in range(2)]
    for inputs in (*prompts, *prompts):
        state = step[1](inputs, 9 + 4)
        given = {"max_length": 9, "prompt": inputs["ids"], "lengths": lengths, "prefill": step[2]}
        expected = method(step[0], state, tokens, **given, **more)
        for one, other in zip(write(inputs), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def grown_and_whole(model, name, prompts, monkeypatch):
    """Yields pairs of what is written with caches that grow by four tokens, and with room for all."""
    method, drawn = METHODS[name]
    more = {**drawn, "top_k": 0} if drawn else {}
    given = {"max_length": 14, "prompt": lambda inputs: (inputs["prompt"], inputs["lengths"]), **more}
    found = []
    for stretch in (4, 100):
        monkeypatch.setattr(compilation, "_STRETCH", stretch)
        write = decoding.compiled(model, method, Tokens(None, -1), **given)
        found.append([write(padded(each)) for each in prompts])
    return zip(*found, strict=True)


CACHES = [{}, {"window": 6}, {"window": 3}, {"num_key_value_heads": 1}, {"experts": {"num_experts": 2, "top_k": 1}}]


@pytest.mark.parametrize("settings", CACHES, ids=str)
@pytest.mark.parametrize("name", ["greedy", "sample"])
def test_caches_that_grow_change_nothing(name, settings, monkeypatch):
    """Windows are full before, at and behind the end of a stretch."""
    model = language_model(**{"positions": "rotary", "normalization": "rms"} | settings)
    for one, other in grown_and_whole(model, name, (PROMPTS, PROMPTS[:1], PROMPTS), monkeypatch):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1], rtol=1e-5)
        assert one[0].shape[1] == 14


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", [name for name in sorted(text.CAUSAL) if name.endswith(("tiny", "nn", "gru", "lstm"))]
)
def test_every_network_writes_with_caches_that_grow(variant, monkeypatch):
    keras.utils.set_random_seed(3)
    build, settings = text.CAUSAL[variant]
    facts = {"vocabulary_size": VOCABULARY, "separator": None, "length": 40}
    backbone = build(*(facts[name] for name in inspect.signature(build).parameters if name in facts), **settings)
    step, begin, *prefill = writing_step(keras.Model(backbone.input, next_tokens(backbone, backbone.output)))
    model = (step, lambda inputs, room: begin({"ids": inputs["prompt"]}, room), *prefill)
    for one, other in grown_and_whole(model, "greedy", (PROMPTS, PROMPTS[:1]), monkeypatch):
        np.testing.assert_array_equal(one[0], other[0])
