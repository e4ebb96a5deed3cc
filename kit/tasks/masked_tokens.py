"""Masked language modelling: which tokens were hidden; cross-entropy, perplexity, accuracy, and what fits a gap."""

from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.data.masked_texts import IGNORED
from kit.data.text_inputs import read_lines
from kit.data.tokens import Tokenizer
from kit.errors import KitError
from kit.reporting.explanation import Explanation
from kit.reporting.statistics import share_interval
from kit.scoring.classification import softmax
from kit.tasks.attention_maps import attention_parts
from kit.tasks.recipe import Evaluation, Task
from kit.training.decay import sparing
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.metrics import Accuracy
from kit.training.parts import ModelOfParts

_SHOWN = 24  # pieces in the table of examples


def compiled(inputs, logits, optimizer, name):
    """Returns a compiled model from ids and positions to logits (batch, predictions, tokens).

    Args:
        inputs: Its inputs, by name.
        logits: Logits of tokens; or a dictionary of them, `token`, and of `next_sentence` (batch, 2).
        optimizer: Keras optimizer or its name.
        name: Name of the model.
    """
    model = ModelOfParts(inputs, logits, name=name)
    loss = SparseCategoricalCrossentropy(ignore_class=IGNORED)
    metrics = [Accuracy(ignore_class=IGNORED)]
    if isinstance(logits, dict):
        loss = {"token": loss, "next_sentence": SparseCategoricalCrossentropy()}
        metrics = {"token": metrics, "next_sentence": [Accuracy()]}
    model.compile(optimizer=sparing(optimizer, model), loss=loss, metrics=metrics)
    return model


def _tells_next_sentence(model):
    return len(model.inputs) > 2


def _logits(model, inputs):
    """Returns logits of tokens, and of the next sentence or None; where segments are not given, there is one."""
    if not _tells_next_sentence(model):
        return backend.predict_on_batch(model, inputs), None
    found = backend.predict_on_batch(model, {"segments": np.zeros_like(inputs["ids"]), **inputs})
    return found["token"], found["next_sentence"]


def evaluate(model, examples, assets, *, top_k: PositiveInt = 5, batch_size: PositiveInt = 64):
    """Scores a masked language model on a split, whose tokens were hidden once.

    Args:
        model: The language model.
        examples: `Examples` of the split.
        assets: The assets of the data.
        top_k: A second accuracy counts a token as told if it is among this many most probable ones.
        batch_size: Pieces in a step.

    Returns:
        `Evaluation` with cross-entropy in nats a token, its exponential (perplexity), accuracy with its interval
        (Wilson's), and top-k accuracy; of pairs also the accuracy of whether the second segment follows the first.
    """
    tokenizer, losses, best, right = Tokenizer(assets["tokenizer"]), [], [], []
    rows, right_pairs, others = [], [], []
    for start in range(0, len(examples), batch_size):
        inputs, labels = examples.arrays(np.arange(start, min(start + batch_size, len(examples))))
        if examples.transform is not None:  # of the training split nothing is hidden yet
            inputs, labels = _hidden(examples.transform, start, inputs, labels)
        logits, follows = _logits(model, inputs)
        if follows is not None:
            labels, is_other = labels["token"], labels["next_sentence"]
            right_pairs.append(follows.argmax(1) == is_other)
            others.append(is_other)
        told = labels != IGNORED
        chosen, true = logits[told].astype("float64"), labels[told]
        highest = chosen.max(1)
        normal = highest + np.log(np.exp(chosen - highest[:, None]).sum(1))
        own = chosen[np.arange(len(true)), true]
        losses.append(normal - own)
        right.append(chosen.argmax(1) == true)
        best.append((chosen > own[:, None]).sum(1) < top_k)
        if start == 0:
            rows = _shown(tokenizer, inputs, labels, logits)
    losses, best, right = (np.concatenate(each) for each in (losses, best, right))
    low, high = share_interval(int(right.sum()), len(right))
    metrics = {
        "cross_entropy": float(losses.mean()),
        "perplexity": float(np.exp(min(losses.mean(), 700.0))),
        "accuracy": float(right.mean()),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        f"top_{top_k}_accuracy": float(best.mean()),
        "hidden_tokens": len(losses),
    }
    if right_pairs:
        right_pairs, others = np.concatenate(right_pairs), np.concatenate(others)
        low, high = share_interval(int(right_pairs.sum()), len(right_pairs))
        metrics |= {
            "next_sentence_accuracy": float(right_pairs.mean()),
            "next_sentence_accuracy_low": float(low),
            "next_sentence_accuracy_high": float(high),
            "followed_share": float(1 - others.mean()),  # the accuracy of who says that all do
            "pairs": len(others),
        }
    return Evaluation(metrics, {"1_hidden_tokens": pd.DataFrame(rows)})


def _hidden(transform, step, inputs, labels):
    import tensorflow as tf

    found = transform(tf.constant(step, tf.int64), inputs, labels)
    return tf.nest.map_structure(lambda value: value.numpy(), found)


def _shown(tokenizer, inputs, labels, logits):
    """Returns rows of a table: the text around a hidden token, the token, and what the model would put there."""
    rows = []
    for ids, positions, own, scores in zip(inputs["ids"], inputs["positions"], labels, logits, strict=True):
        told = np.flatnonzero(own != IGNORED)
        if not len(told) or len(rows) == _SHOWN:
            continue
        place = positions[told[0]]
        shares = softmax(scores[told[0]][None].astype("float64"))[0]
        guess = int(shares.argmax())
        around = ids.tolist()[max(place - 12, 0) : place + 13]
        around[place - max(place - 12, 0)] = tokenizer.mask_id
        rows.append(
            {
                "text": _text(tokenizer, around),
                "hidden": tokenizer.name(own[told[0]]),
                "told": tokenizer.name(guess),
                "probability": shares[guess],
            }
        )
    return rows


def _text(tokenizer, ids):
    """Returns tokens as text in which the hidden ones are gaps."""
    parts, last = [], []
    for token in [*ids, tokenizer.mask_id]:
        if token == tokenizer.mask_id:
            parts.append(tokenizer.decode([last])[0])
            last = []
        else:
            last.append(token)
    return " ___ ".join(parts).strip()


def predict(model, inputs, assets, *, top_k: PositiveInt = 5, batch_size: PositiveInt = 64):
    """Fills the gaps of texts.

    Args:
        model: The language model.
        inputs: Texts, and files of them, with `___` or `[MASK]` for each hidden token.
        assets: The assets of the data that the model was trained on.
        top_k: Number of tokens for each gap.
        batch_size: Texts in a step.

    Returns:
        Table with a row a token: `input`, `gap` (from 1), `token`, `probability`, the most probable first.

    Raises:
        KitError: a text without a gap, or one that is too long.
    """
    tokenizer, length = Tokenizer(assets["tokenizer"]), assets["max_length"]
    texts, places = read_lines(inputs)
    rows = [(text, place) for text, place in zip(texts, places, strict=True) if text.strip()]
    if not rows:
        raise KitError("inputs: no texts")
    found = []
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        ids = [_with_gaps(text, place, tokenizer, length) for text, place in part]
        gaps = [[row for row, token in enumerate(each) if token == tokenizer.mask_id] for each in ids]
        wide, most = max(map(len, ids)), max(map(len, gaps))
        padded = np.full((len(ids), wide), tokenizer.pad_id, "int32")
        positions = np.zeros((len(ids), most), "int32")
        for row, (each, own) in enumerate(zip(ids, gaps, strict=True)):
            padded[row, : len(each)], positions[row, : len(own)] = each, own
        logits, _ = _logits(model, {"ids": padded, "positions": positions})
        for row, ((text, _), own) in enumerate(zip(part, gaps, strict=True)):
            for gap in range(len(own)):
                shares = softmax(logits[row, gap][None].astype("float64"))[0]
                for token in np.argsort(-shares)[:top_k]:
                    name = tokenizer.name(token).replace("▁", " ").strip() or "▁"
                    found.append({"input": text, "gap": gap + 1, "token": name, "probability": shares[token]})
    return pd.DataFrame(found)


def _with_gaps(text, place, tokenizer, length, least=1):
    """Returns the ids of a text, those of gaps masked, of which it has so many at least."""
    parts = text.replace("[MASK]", "___").split("___")
    if len(parts) <= least:
        raise KitError(f"{place}: no gap; expected ___ or [MASK] in the place of a token")
    ids = [tokenizer.start_id]
    for number, part in enumerate(parts):
        ids += [tokenizer.mask_id] if number else []
        ids += tokenizer.encode([part])[0] if part.strip() else []
    ids.append(tokenizer.end_id)
    if len(ids) > length:
        raise KitError(f"{place}: {len(ids)} tokens; expected at most {length}")
    return ids


def explain(
    model,
    inputs,
    assets,
    *,
    method: Literal["attention"] = "attention",
    most_inputs: PositiveInt = 4,
):
    """Shows which token looks at which: the attention weights of every layer and head.

    Args:
        model: The language model.
        inputs: Texts, and files of them; with `___` or `[MASK]` for hidden tokens, or without.
        assets: The assets of the data that the model was trained on.
        method: "attention".
        most_inputs: Number of texts that are shown; of more the first.

    Returns:
        `Explanation` with a row a head: `layer` and `head` from 1, and what the tokens of the texts look at, start and
        end apart: `mean_distance` in tokens, and the shares of the weights on `neighbours`, `itself` and `special`
        tokens.

    Raises:
        KitError: no text, one that is too long, or a file that cannot be read.
    """
    tokenizer, length = Tokenizer(assets["tokenizer"]), assets["max_length"]
    rows = [(text, place) for text, place in zip(*read_lines(inputs), strict=True) if text.strip()]
    if not rows:
        raise KitError("inputs: no texts")
    ids = [
        np.array([_with_gaps(text, place, tokenizer, length, least=0)], "int32") for text, place in rows[:most_inputs]
    ]
    names = {each.name for each in model.inputs}  # one that tells the next sentence takes segments, too
    batches = [{"ids": each, "positions": np.zeros((1, 1), "int32"), "segments": np.zeros_like(each)} for each in ids]
    batches = [{name: each[name] for name in names} for each in batches]
    shown = [(tokenizer.pieces(each[0]), np.array(tokenizer.is_special(each[0]))) for each in ids]
    table, figures, arrays, notes = attention_parts(model, batches, shown)
    if len(rows) > most_inputs:
        notes = (*notes, f"The first {most_inputs} of {len(rows)} texts; explain.most_inputs says how many.")
    return Explanation("Which token looks at which", table, figures, arrays, notes)


def show(predictions, is_terminal):
    """Returns the tokens of each gap in one line."""
    lines = []
    for (text, gap), rows in predictions.groupby(["input", "gap"], sort=False):
        tokens = ", ".join(f"{row.token} {row.probability:.0%}" for row in rows.itertuples())
        lines.append(f"{text}  ({gap}) {tokens}")
    return "\n".join(lines)


def _tokens_alone(network):
    """Returns the network without the answer whether one segment follows another."""
    if not _tells_next_sentence(network):
        return network
    return keras.Model(network.input, network.output["token"], name=network.name)


def task():
    """Returns the `Task` of masked language modelling."""
    return Task(
        monitors={
            "val_loss": "min",
            **dict.fromkeys(("val_accuracy", "val_token_accuracy", "val_next_sentence_accuracy"), "max"),
        },
        evaluate=evaluate,
        predict=predict,
        explain=explain,
        show=show,
        inputs="text",
        usage='--text "a list is a ___ of values"',
        draws=(),
        exported=_tokens_alone,
    )
