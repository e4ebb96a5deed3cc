"""Translation: from a sentence to another one that means the same; sequence to sequence."""

import functools
import inspect
import logging
import weakref
import zlib
from typing import Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from jsonargparse.typing import PositiveInt
from keras import layers, ops

from kit import decoding
from kit.config import renamed
from kit.data import sources, tokens
from kit.data.bitext import Bitext, without_duplicates, without_uneven
from kit.data.sources import phrase_pairs
from kit.data.splits import SPLITS, Splits, assign
from kit.data.text_inputs import read_lines
from kit.data.tokens import Tokenizer
from kit.errors import KitError, check, choose
from kit.files import as_path, atomic
from kit.models.text import seq2seq
from kit.reporting import plots
from kit.scoring import text as translations
from kit.tasks.recipe import Evaluation, Recipe, Stages, Task
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.sampling import TeacherForcing

log = logging.getLogger("kit")

ARCHITECTURES = seq2seq.VARIANTS
_LEFT_OUT = "left out"


@renamed(architecture="backbone")
def translator(
    vocabulary_size,
    max_length,
    *,
    backbone: str = "transformer",
    embedding_dim: int = 128,
    tie_embeddings: bool = True,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    optimizer="adam",
):
    """Builds a compiled translator.

    It takes a dictionary of `source` ids, the end's included, and `target` ids, the start's in front, and returns
    logits of what follows each target. `fit` takes labels, the target without its start; id 0 is padding and counts
    nowhere. `kit.decoding` writes translations with it, see `decoding_step`.

    Args:
        vocabulary_size: Number of tokens of both sides together, or a dictionary with that of `source` and `target`.
        max_length: Most tokens of a sentence, where an architecture learns a vector for each position.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from [source, mask,
            target] vectors to (batch, time, dim); or a function that returns one for an `input_dim`.
        embedding_dim: Width of a token's embedding.
        tie_embeddings: Target embedding and last layer have the same weights (Press and Wolf, "Using the Output
            Embedding to Improve Language Models", 2017).
        dropout: Share of the embeddings and of what comes to the last layer that is dropped while training.
        label_smoothing: Share of the target that is spread evenly over all tokens.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `source` (batch, source) and `target` (batch, time), integers
        out: logits (batch, time, vocabulary)

    Raises:
        SettingError: an unknown backbone or a value out of range; the message names the argument.
    """
    check(embedding_dim >= 1, "embedding_dim", embedding_dim, "at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("source", "target")}
    is_joint = not isinstance(vocabulary_size, dict)
    sizes = dict.fromkeys(inputs, vocabulary_size) if is_joint else vocabulary_size
    target_embedding = _embedding(sizes["target"], embedding_dim, "embedding" if is_joint else "target_embedding")
    source_embedding = target_embedding if is_joint else _embedding(sizes["source"], embedding_dim, "source_embedding")
    source, target = _embedded(source_embedding, inputs["source"]), _embedded(target_embedding, inputs["target"])
    if dropout:
        source = layers.Dropout(dropout, name="source_dropout")(source)
        target = layers.Dropout(dropout, name="target_dropout")(target)
    if isinstance(backbone, str):
        build, arguments = choose(ARCHITECTURES, backbone, "backbone")
        known = {"max_length": max_length} if "max_length" in inspect.signature(build).parameters else {}
        backbone = build(embedding_dim, **known, **arguments, name=backbone)
    elif not isinstance(backbone, keras.Model):
        backbone = backbone(embedding_dim)
    x = backbone([source, ops.not_equal(inputs["source"], tokens.PADDING), target])
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    if tie_embeddings:
        if x.shape[-1] != embedding_dim:
            x = layers.Dense(embedding_dim, name="head_projection")(x)
        logits = target_embedding(x, reverse=True)
    else:
        logits = layers.Dense(sizes["target"], dtype="float32", name="logits")(x)
    model = TeacherForcing(inputs, logits, name="translator")
    # XLA would compile anew for every length of sentences; an accuracy would look at all logits once more.
    model.compile(
        optimizer=optimizer,
        loss=SparseCategoricalCrossentropy(label_smoothing, ignore_class=tokens.PADDING),
        jit_compile=False,
    )
    return model


def _embedding(size, dim, name):
    # With the factor of `_embedded` inputs have variance one, and as the last layer's weights so have logits.
    normal = keras.initializers.RandomNormal(stddev=dim**-0.5)
    return layers.ReversibleEmbedding(size, dim, embeddings_initializer=normal, reverse_dtype="float32", name=name)


def _embedded(embedding, ids):
    return embedding(ids) * embedding.output_dim**0.5


def decoding_step(model):
    """Returns the pair (step, initial_state) of a translator, for `kit.decoding`; its inputs are source ids.

    The step returns, beside logits and state, the weights over the source of each layer of attention.
    """
    known = {layer.name: layer for layer in model.layers}
    source_embedding = known.get("source_embedding") or known["embedding"]
    target_embedding = known.get("target_embedding") or known["embedding"]
    encoder, projections, decoder = seq2seq.parts(_architecture(model))

    def initial_state(source, max_length):
        mask = ops.not_equal(source, tokens.PADDING)
        memory, *summary = encoder([_embedded(source_embedding, source), mask]).values()
        return decoder.initial_state(memory, mask, max_length, *summary)

    def step_with_weights(last, position, state):
        x = _embedded(target_embedding, last)
        for projection in projections:
            x = projection(x)
        x, state, weights = decoder.step(x, position, state)
        if "head_projection" in known:
            x = known["head_projection"](x)
        logits = known["logits"](x) if "logits" in known else target_embedding(x, reverse=True)
        return logits, state, weights

    def step(last, position, state):
        return step_with_weights(last, position, state)[:2]

    step.with_weights = step_with_weights
    return step, initial_state


def _architecture(model):
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def translated_sentences(
    seed,
    saved,
    *,
    source: str = "phrases",
    source_locale: str = "en",
    target_locale: str = "de",
    num_sentences: int | None = None,
    token_kind: Literal["bpe", "word"] = "bpe",
    vocabulary_size: int = 4000,
    joint_vocabulary: bool = True,
    min_count: int = 2,
    lowercase: bool = False,
    max_length: int = 128,
    max_ratio: float | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
):
    """Reads sentences and their translations and divides them into training, validation and test split.

    Pairs that occur twice, are too long or too uneven are left out of training; validation and test keep all of theirs.

    Args:
        seed: Seed of the division and of generated sentences.
        saved: Assignment of an earlier run that is used again, or None.
        source: `phrases` (generated), `tfds:NAME`, a .tsv or .jsonl file, one of two parallel files such as corpus.en
            and corpus.de; or a folder of such files with train, dev and test in their names.
        source_locale: Language of the sentences, such as en; of files it is their ending, or the key in JSONL.
        target_locale: Language of the translations, such as de or pt_BR.
        num_sentences: Number of generated pairs; 12000 by default.
        token_kind: "bpe" cuts words into frequent pieces, "word" keeps them whole.
        vocabulary_size: Number of tokens; of each side where they are separate.
        joint_vocabulary: Both sides share tokens and their embedding.
        min_count: Words, or of "bpe" pairs of pieces, that are rarer in the training sentences are no token.
        lowercase: Make all text lower-case.
        max_length: Most tokens of a side in training, and most that an architecture with learned positions can take.
        max_ratio: Most tokens of the longer side for each of the shorter one in training; None is any number.
        validation_fraction: Share of the pairs not in the test split that becomes the validation split.
        test_fraction: Share of the pairs that becomes the test split, where the source has none.

    Returns:
        `Splits` of `Bitext`, with facts `vocabulary_size` and `max_length`.

    Raises:
        KitError: a file that cannot be used; the message names it and the line.
        SettingError: a value out of range; the message names the key.
    """
    check(2 <= max_length <= 10_000, "max_length", max_length, "2 to 10000")
    check(max_ratio is None or max_ratio >= 1, "max_ratio", max_ratio, "at least 1")
    module, place = sources.find(source, "pairs")
    languages = {"source_locale": source_locale, "target_locale": target_locale}
    if module is phrase_pairs:
        found = module.read(
            place, **languages, num_sentences=12_000 if num_sentences is None else num_sentences, seed=seed
        )
    else:
        check(num_sentences is None, "num_sentences", num_sentences, "none where sentences are not generated")
        found = module.read(place, **languages)
    pairs = list(zip(found.sources, found.targets, strict=True))
    names = [
        f"{each} {zlib.crc32(chr(9).join(pair).encode()):08x}" for each, pair in zip(found.places, pairs, strict=True)
    ]
    assignment = assign(names, found.split, validation_fraction, test_fraction, seed, saved)
    split = assignment["split"].to_numpy(dtype=object).copy()
    split[split == _LEFT_OUT] = "train"  # those of an earlier run are found, and counted, once more
    report = {}
    train = without_duplicates(np.flatnonzero(split == "train"), pairs, report)
    check(len(train) > 0, "source", str(place), "training sentences")
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    learn = functools.partial(
        Tokenizer.learn, kind=token_kind, vocabulary_size=vocabulary_size, min_count=min_count, lowercase=lowercase
    )
    texts = [[side[row] for row in train] for side in sides]
    tokenizers = [learn(texts[0] + texts[1])] * 2 if joint_vocabulary else [learn(each) for each in texts]
    ids = [tokenizer.encode(side) for tokenizer, side in zip(tokenizers, sides, strict=True)]
    train = without_uneven(train, ids, max_length, max_ratio, report)
    check(len(train) > 0, "max_length", max_length, "a length that leaves training sentences")
    is_training = np.zeros(len(pairs), bool)
    is_training[train] = True
    split[(split == "train") & ~is_training] = _LEFT_OUT
    assignment = assignment.assign(split=split)
    parts = []
    for name in SPLITS:
        rows = np.flatnonzero(split == name)
        chosen = [[side[row] for row in rows] for side in (*ids, *sides)]
        parts.append(Bitext(*chosen))
    known = set(parts[0].source_texts)
    for name, part in zip(SPLITS[1:], parts[1:], strict=True):
        report[f"sentences of the {name} split that are also in training"] = sum(
            text in known for text in part.source_texts
        )
    report["unknown tokens in the test sentences"] = parts[2].count(tokens.UNKNOWN)
    log.info("%s", "; ".join(f"{name}: {count:,}" for name, count in report.items() if count) or "no pair left out")
    size = len(tokenizers[0])
    return Splits(
        *parts,
        facts={
            "vocabulary_size": size if joint_vocabulary else {"source": size, "target": len(tokenizers[1])},
            # Start or end come to it; validation and test keep sentences longer than training has.
            "max_length": max(max_length + 2, *(int(part.lengths.max(initial=0)) for part in parts)),
        },
        assets={
            "tokenizers": [each.to_json() for each in (tokenizers[:1] if joint_vocabulary else tokenizers)],
            "pairs": report,
        },
        assignment=assignment,
        settings={"source": str(place)},
    )


def _tokenizers(assets):
    """Returns the tokenizers of source and target."""
    both = [Tokenizer(content) for content in assets["tokenizers"]]
    return both[0], both[-1]


_COMPILED = weakref.WeakKeyDictionary()
_TOKENS = decoding.Tokens(
    start=tokens.START,
    end=tokens.END,
    pad=tokens.PADDING,
    forbidden=(tokens.PADDING, tokens.UNKNOWN, tokens.START),
)
# Tokens and padding of the sentences that are translated together, those of each beam counted; bounds the memory.
_MOST_POSITIONS = 32_768


def _decoder(model, method, settings):
    """Returns a compiled function from source ids to translations, made once for each model and settings."""
    made = _COMPILED.setdefault(model, {})
    key = (method.__name__, tuple(sorted(settings.items())))
    if key not in made:
        positions = _architecture(model).get_layer("decoder").max_length

        def max_length(source):
            longest = 2 * ops.shape(source)[1] + 10
            return longest if positions is None else ops.minimum(longest, positions)

        made[key] = decoding.compiled(
            decoding_step(model),
            method,
            _TOKENS,
            max_length=max_length,
            signature=tf.TensorSpec((None, None), tf.int32),
            **settings,
        )
    return made[key]


def _written(model, examples, batch_size, method, settings=None, seeds=None):
    """Returns ids of the translations, (results, time) of each sentence, and their scores, (results,) of each.

    Args:
        model: The translator.
        examples: `Bitext`.
        batch_size: Sentences that are translated together.
        method: A method of `kit.decoding`.
        settings: Settings of the method, or None.
        seeds: Generator of a seed for each batch, for sampling; or None.
    """
    settings = settings or {}
    decode = _decoder(model, method, settings)
    ids, scores = [None] * len(examples), [None] * len(examples)
    for rows in examples.chunks(batch_size, _MOST_POSITIONS // settings.get("beam_width", 1)):
        source = ops.convert_to_tensor(examples.arrays(rows)[0]["source"])
        seed = () if seeds is None else (ops.convert_to_tensor(seeds.integers(2**31), "int32"),)
        found, values = (np.asarray(each) for each in decode(source, *seed))
        for row, each, value in zip(rows, found, values, strict=True):
            ids[row], scores[row] = np.atleast_2d(each), np.atleast_1d(value)
    return ids, scores


def validate(model, examples, assets):
    """Returns BLEU and chrF of the greedy translations."""
    ids, _ = _written(model, examples, 256, decoding.greedy)
    found = _tokenizers(assets)[1].decode([each[0] for each in ids])
    values = translations.corpus_scores(found, examples.target_texts)
    return {name: values[name] for name in ("bleu", "chrf")}


def evaluate(
    model,
    examples,
    assets,
    *,
    beam_width: PositiveInt = 5,
    length_penalty: float = 1.0,
    bootstrap_samples: PositiveInt = 1000,
    batch_size: PositiveInt = 64,
):
    """Scores a translator on a split.

    Args:
        model: The translator.
        examples: `Bitext` of the split.
        assets: The assets of the data.
        beam_width: Number of beginnings of each sentence that are kept; 1 is greedy.
        length_penalty: 0 prefers short translations, 1 is about the mean log-probability of a token.
        bootstrap_samples: Draws of sentences with replacement behind each 95 % interval.
        batch_size: Sentences that are translated together.

    Returns:
        `Evaluation` with BLEU (cased, 13a), chrF, their signatures, BLEU of lower-case text, and the share of the
        translations that are exactly their reference.
    """
    _check_beam(beam_width, model)
    settings = {"beam_width": beam_width, "length_penalty": float(length_penalty)}
    ids, _ = _written(model, examples, batch_size, decoding.beam, settings)
    target = _tokenizers(assets)[1]
    found = target.decode([each[0] for each in ids])
    metrics = translations.corpus_scores(found, examples.target_texts, bootstrap_samples)
    tables = {
        "1_translations_from_best_to_worst": _samples(examples, found),
        "2_pairs_of_sentences": pd.DataFrame(
            [{"what": name, "number": count} for name, count in assets["pairs"].items()]
        ),
    }
    row = int(np.argmin(np.abs(examples.source_lengths - 12)))
    return Evaluation(metrics, tables, _attention_figures(model, examples.take([row]), ids[row][0], assets))


def _check_beam(beam_width, model):
    size = model.output.shape[-1]
    check(beam_width <= size, "beam_width", beam_width, f"at most {size:,}, the number of tokens")


def _samples(examples, found):
    """Returns the best, the median and the worst translations, by chrF."""
    values = translations.sentence_chrf(found, examples.target_texts)
    order = np.argsort(-values, kind="stable")
    middle = max(len(order) // 2 - 2, 0)
    rows = dict.fromkeys([*order[:5], *order[middle : middle + 5], *order[-10:]])
    return pd.DataFrame(
        [
            {
                "chrF": float(values[row]),
                "source": examples.source_texts[row],
                "translation": found[row],
                "reference": examples.target_texts[row],
            }
            for row in rows
        ]
    )


def _alignment(model, source, target):
    """Returns which source tokens each target token looked at: one (heads, time, source) for each layer of attention.

    Args:
        model: The translator.
        source: Ids of one sentence, its end included.
        target: Ids of its translation, the end included.
    """
    step, initial_state = decoding_step(model)
    state = initial_state(ops.convert_to_tensor(np.array([source], "int32")), len(target))
    last, found = tokens.START, []
    for position, token in enumerate(target):
        _, state, weights = step.with_weights(np.array([last], "int32"), position, state)
        found.append([np.asarray(ops.convert_to_numpy(each)) for each in weights])
        last = token
    return [np.stack([each[0] for each in layer], axis=1) for layer in zip(*found, strict=True)]


def _attention_figures(model, example, ids, assets):
    """Returns a heat map for each layer of attention, on one sentence."""
    source_tokenizer, target_tokenizer = _tokenizers(assets)
    source = example.arrays([0])[0]["source"][0]
    ids = _cut(ids)
    weights = _alignment(model, source, ids)
    names = [f"_of_layer_{index}" for index in range(1, len(weights) + 1)] if len(weights) > 1 else [""] * len(weights)
    return {
        f"2_attention{name}": lambda each=each: plots.attention(
            each, source_tokenizer.pieces(source), target_tokenizer.pieces(ids)
        )
        for name, each in zip(names, weights, strict=True)
    }


def _cut(ids):
    """Returns ids up to the end, the end included."""
    ids = [int(each) for each in ids if each != tokens.PADDING]
    return ids[: ids.index(tokens.END) + 1] if tokens.END in ids else ids


def predict(
    model,
    inputs,
    assets,
    *,
    method: Literal["beam", "greedy", "sample"] = "beam",
    beam_width: PositiveInt = 5,
    length_penalty: float = 1.0,
    n_best: PositiveInt = 1,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    attention: str | None = None,
    batch_size: PositiveInt = 64,
):
    """Translates texts.

    Args:
        model: The translator.
        inputs: A text, a file (`pathlib.Path`), or a list of these, with a sentence in each line. Of an empty line the
            translation is empty.
        assets: The assets of the data that the model was trained on.
        method: "beam" searches for the most probable translation, "greedy" takes the most probable token each time,
            "sample" draws.
        beam_width: Number of beginnings of each sentence that a beam keeps.
        length_penalty: 0 prefers short translations, 1 is about the mean log-probability of a token.
        n_best: Number of translations of each sentence, the best first; of a beam, or drawn.
        temperature: Of "sample": below 1 likely tokens become likelier.
        top_k: Of "sample": only so many most probable tokens are drawn from; 0 is all.
        top_p: Of "sample": only the most probable tokens with this much probability together; 1 is all.
        seed: Of "sample".
        attention: PNG file to draw the alignment of the first sentence and its translation to.
        batch_size: Sentences that are translated together.

    Returns:
        Table with a row a translation: `sentence` (from 1), `source`, `rank` (from 1), `translation`, `score` (the
        log-probability, of a beam divided by the length penalty).

    Raises:
        KitError: no text, a text too long for the model or in characters that it does not know at all, or a file that
            cannot be read.
    """
    lines, places = read_lines(inputs)
    if not any(line.strip() for line in lines):
        raise KitError("no text to translate; expected a sentence")
    check(method in ("beam", "greedy", "sample"), "method", method, "'beam', 'greedy' or 'sample'")
    check(0 <= seed < 2**31, "seed", seed, "a whole number from 0 to 2147483647")
    check(method != "greedy" or n_best == 1, "n_best", n_best, "1 with greedy decoding")
    check(method != "beam" or n_best <= beam_width, "n_best", n_best, f"at most {beam_width}, the beam's width")
    path = None
    if attention is not None:
        path = as_path(attention, "attention")
        check(path.suffix == ".png" and path.parent.is_dir(), "attention", attention, "a .png file in a known folder")
        decoder = _architecture(model).get_layer("decoder")
        is_without = getattr(decoder, "attention", None) == "none"
        check(not is_without, "attention", attention, "none: this architecture has no attention")
    source_tokenizer, target_tokenizer = _tokenizers(assets)
    rows = [row for row, line in enumerate(lines) if line.strip()]
    ids = source_tokenizer.encode([lines[row] for row in rows])
    _check_inputs(model, source_tokenizer, ids, [places[row] for row in rows])
    examples = Bitext(ids, None, [lines[row] for row in rows])
    if method == "beam":
        _check_beam(beam_width, model)
        settings = {"beam_width": beam_width, "length_penalty": float(length_penalty), "num_results": n_best}
        found, scores = _written(model, examples, batch_size, decoding.beam, settings)
    elif method == "greedy":
        found, scores = _written(model, examples, batch_size, decoding.greedy)
    else:
        random = np.random.default_rng(seed)
        settings = {"temperature": float(temperature), "top_k": top_k, "top_p": float(top_p)}
        draws = [_written(model, examples, batch_size, decoding.sample, settings, seeds=random) for _ in range(n_best)]
        found = [[each for ids, _ in draws for each in ids[row]] for row in range(len(examples))]
        scores = [np.concatenate([values[row] for _, values in draws]) for row in range(len(examples))]
        order = [np.argsort(-each, kind="stable") for each in scores]
        found = [[each[place] for place in places] for each, places in zip(found, order, strict=True)]
        scores = [each[places] for each, places in zip(scores, order, strict=True)]
    if path is not None:
        figures = _attention_figures(model, examples.take([0]), found[0][0], assets)
        with atomic(path) as temporary:
            list(figures.values())[-1]().savefig(temporary, dpi=110)
    table, done = [], dict(zip(rows, range(len(rows)), strict=True))
    for row, line in enumerate(lines):
        texts, values = [""], [0.0]
        if row in done:
            texts, values = target_tokenizer.decode(found[done[row]]), scores[done[row]]
        # Several ways of cutting a text are one translation; a beam may have found fewer than were asked for.
        different = {}
        for text, value in zip(texts, values, strict=True):
            if value > -1e8 or not different:
                different.setdefault(text, float(value))
        for rank, (text, value) in enumerate(different.items(), 1):
            table.append({"sentence": row + 1, "source": line, "rank": rank, "translation": text, "score": value})
    return pd.DataFrame(table)


def _check_inputs(model, tokenizer, ids, places):
    """Raises KitError for a sentence that the model cannot read, and where none has a character that it knows."""
    positions = _architecture(model).get_layer("decoder").max_length
    strange = []
    for each, place in zip(ids, places, strict=True):
        if positions is not None and len(each) + 1 > positions:
            raise KitError(
                f"{place}: {len(each)} tokens; expected at most {positions - 1}, which the model has positions for"
            )
        if all(token == tokens.UNKNOWN or tokenizer.is_space(token) for token in each):
            strange.append(place)
    if len(strange) == len(places):
        raise KitError(f"{strange[0]}: no character of it was in the training sentences; expected the source language")
    if strange:
        log.warning("%s: no character of it was in the training sentences (%d such lines)", strange[0], len(strange))


def show(predictions, is_terminal):
    """Returns translations for reading: one a line; where there are several of a sentence, with rank and score."""
    if predictions["rank"].max() == 1:
        return "\n".join(predictions["translation"])
    rows = predictions[["sentence", "rank", "score", "translation"]].itertuples(index=False)
    return "\n".join(f"{sentence}.{rank}\t{score:.3f}\t{text}" for sentence, rank, score, text in rows)


RECIPE = Recipe(
    name="translation",
    purpose="What is a sentence in another language?",
    build=translator,
    data=translated_sentences,
    backbones={"backbone": ARCHITECTURES},
    task=Task(
        monitors={"val_bleu": "max", "val_chrf": "max", "val_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        show=show,
        inputs="text",
    ),
    stages=Stages(tied_layers={"tokenizers": ("*embedding", "logits")}),
)
