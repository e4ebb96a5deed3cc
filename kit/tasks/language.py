"""Language modelling: the next token; perplexity, bits a character, and texts that a network writes."""

import lzma
import weakref
from typing import Literal

import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import decoding
from kit.data.lossless_tokens import text_of
from kit.data.text_inputs import read_lines
from kit.data.token_sequences import IGNORED
from kit.data.tokens import Tokenizer
from kit.errors import KitError, check
from kit.models.text.causal_decoder import writing_step
from kit.tasks.recipe import Evaluation, Task
from kit.training.decay import sparing
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.metrics import Accuracy
from kit.training.parts import ModelOfParts

_USUAL = 200  # tokens that are written
_SHOWN = 24  # tokens in the table of surprises
_COMPILED = weakref.WeakKeyDictionary()


def compiled(inputs, logits, optimizer, name):
    """Returns a compiled model from ids to logits of the next token, (batch, time, tokens).

    Args:
        inputs: Its inputs, by name.
        logits: Logits of tokens.
        optimizer: Keras optimizer or its name.
        name: Name of the model.
    """
    model = ModelOfParts(inputs, logits, name=name)
    loss = SparseCategoricalCrossentropy(ignore_class=IGNORED)
    model.compile(optimizer=sparing(optimizer, model), loss=loss, metrics=[Accuracy(ignore_class=IGNORED)])
    return model


def evaluate(model, examples, assets, *, batch_size: PositiveInt = 32):
    """Scores a language model on a split, each of whose tokens is told once.

    Args:
        model: The language model.
        examples: `Examples` of the split.
        assets: The assets of the data.
        batch_size: Sequences in a step.

    Returns:
        `Evaluation` with cross-entropy in nats a token, its exponential (perplexity), bits a character, which may be
        compared between tokenizers, bits that `xz -9e` takes for a character of the same text, accuracy, and what was
        least expected.
    """
    tokenizer = Tokenizer(assets["tokenizer"])
    losses, right, told = [], [], []
    for start in range(0, len(examples), batch_size):
        inputs, labels = examples.arrays(np.arange(start, min(start + batch_size, len(examples))))
        logits = model.predict_on_batch(inputs)
        real = labels != IGNORED
        chosen, true = logits[real].astype("float64"), labels[real]
        highest = chosen.max(1)
        normal = highest + np.log(np.exp(chosen - highest[:, None]).sum(1))
        losses.append(normal - chosen[np.arange(len(true)), true])
        right.append(chosen.argmax(1) == true)
        told.append(true)
    losses, right, told = (np.concatenate(each) for each in (losses, right, told))
    text = text_of(tokenizer, told)
    packed = len(lzma.compress(text.encode("utf-8", "replace"), preset=9 | lzma.PRESET_EXTREME))
    metrics = {
        "cross_entropy": float(losses.mean()),
        "perplexity": float(np.exp(min(losses.mean(), 700.0))),
        "bits_per_character": float(losses.sum() / np.log(2) / max(len(text), 1)),
        "xz_bits_per_character": 8 * packed / max(len(text), 1),
        "accuracy": float(right.mean()),
        "tokens": len(losses),
        "characters": len(text),
    }
    return Evaluation(metrics, {"1_least_expected": _surprises(tokenizer, told, losses)})


def _surprises(tokenizer, told, losses):
    """Returns a table of the tokens that were least expected, with the text in front of them."""
    rows = []
    for place in np.argsort(-losses)[:_SHOWN]:
        before = text_of(tokenizer, told[max(place - 30, 0) : place])
        rows.append({"text": before, "token": tokenizer.joined([told[place]]), "nats": losses[place]})
    return pd.DataFrame(rows, columns=["text", "token", "nats"])


def predict(
    model,
    inputs,
    assets,
    *,
    max_tokens: PositiveInt | None = None,
    method: Literal["sample", "greedy"] = "sample",
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    n: PositiveInt = 1,
    seed: int = 0,
    stop: tuple[str, ...] = (),
):
    """Goes on with texts.

    Args:
        model: The language model.
        inputs: Texts, and files of them, with a beginning in each line; an empty one begins a text.
        assets: The assets of the data that the model was trained on.
        max_tokens: Most tokens that are written; None is 200, or fewer where the network has learned no more positions.
        method: "sample" draws, "greedy" takes the most probable token each time.
        temperature: Of "sample": below 1 likely tokens become likelier.
        top_k: Of "sample": only so many most probable tokens are drawn from; 0 is all.
        top_p: Of "sample": only the most probable tokens with this much probability together; 1 is all.
        n: Number of texts for each beginning.
        seed: Of "sample".
        stop: Texts in front of which writing ends.

    Returns:
        Table with a row a text: `prompt`, `number` (from 1), `text` that was written, and `score`, its log-probability.

    Raises:
        KitError: a beginning in characters that the model does not know, or too long for its positions.
    """
    check(method == "sample" or n == 1, "n", n, "1 with greedy decoding")
    check(0 <= seed < 2**31, "seed", seed, "a whole number from 0 to 2147483647")
    tokenizer = Tokenizer(assets["tokenizer"])
    prompts, places = read_lines(inputs)
    ids = [[tokenizer.end_id, *each] for each in tokenizer.encode(prompts)]
    most = _max_positions(model)
    for each, place in zip(ids, places, strict=True):
        if tokenizer.unknown_id is not None and tokenizer.unknown_id in each:
            raise KitError(f"{place}: has a character that the model has never seen; expected those of its texts")
        if most is not None and len(each) + (max_tokens or 1) > most + 1:
            raise KitError(f"{place}: {len(each)} tokens and {max_tokens or 1} more; expected at most {most} together")
    longest = max(map(len, ids))
    if max_tokens is None:
        max_tokens = _USUAL if most is None else min(_USUAL, most + 1 - longest)
    lengths = np.array([len(each) for each in ids for _ in range(n)], "int32")
    prompt = np.full((len(lengths), longest), tokenizer.end_id, "int32")
    for row, each in enumerate(each for each in ids for _ in range(n)):
        prompt[row, : len(each)] = each
    settings = {"temperature": float(temperature), "top_k": top_k, "top_p": float(top_p)}
    write = _writer(model, tokenizer.end_id, max_tokens, method, settings if method == "sample" else {})
    seeds = (np.int32(seed),) if method == "sample" else ()
    found, scores = (np.asarray(each) for each in write({"ids": prompt, "lengths": lengths}, *seeds))
    rows = []
    for row, (sequence, score) in enumerate(zip(found, scores, strict=True)):
        ends = np.flatnonzero(sequence == tokenizer.end_id)
        text = text_of(tokenizer, sequence[: ends[0]] if len(ends) else sequence)
        text = text[: min([text.find(each) for each in stop if each in text], default=len(text))]
        rows.append({"prompt": prompts[row // n], "number": row % n + 1, "text": text, "score": float(score)})
    return pd.DataFrame(rows)


def _max_positions(model):
    """Returns how many positions a network has learned; None where it has any number."""
    return model.get_layer("decoder").max_length


def _writer(model, end, max_tokens, method, settings):
    """Returns the compiled function that writes, one for each way of doing so."""
    made = _COMPILED.setdefault(model, {})
    key = (end, max_tokens, method, *sorted(settings.items()))
    if key not in made:
        made[key] = decoding.compiled(
            writing_step(model),
            getattr(decoding, method),
            decoding.Tokens(start=None, end=end, pad=end),
            max_length=max_tokens,
            prompt=lambda inputs: (inputs["ids"], inputs["lengths"]),
            **settings,
        )
    return made[key]


def show(predictions, is_terminal):
    """Returns each beginning with what was written behind it."""
    return "\n\n".join(f"{row.prompt}{row.text}" for row in predictions.itertuples())


def task():
    """Returns the `Task` of language modelling."""
    return Task(
        monitors={"val_loss": "min", "val_accuracy": "max"},
        evaluate=evaluate,
        predict=predict,
        show=show,
        inputs="text",
        usage='--text "ROMEO:" --max-tokens 200',
        draws=(),
        by_chance={"method": "sample"},
    )
