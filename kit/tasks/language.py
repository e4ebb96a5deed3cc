"""Language modelling: the next token; perplexity, bits a character, and texts that a network writes."""

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
from kit.models.quantization import quantized
from kit.models.text.causal_decoder import writing_step
from kit.reporting.statistics import Bootstrap
from kit.reporting.statistics import bootstrap as bootstrapped
from kit.tasks import expert_loads, language_baseline
from kit.tasks.language_samples import Written
from kit.tasks.recipe import Evaluation, Task
from kit.training.decay import sparing
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.metrics import Accuracy
from kit.training.parts import ModelOfParts

_SHOWN = 12  # tokens in the table of surprises
_BLOCK = 512  # tokens that are drawn together for an interval
_EXAMPLE = 200  # tokens that are written after chosen epochs
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


def evaluate(
    model,
    examples,
    assets,
    *,
    quantize: Literal["none", "int8"] = "none",
    baseline: bool = True,
    bootstrap: Bootstrap = Bootstrap(),
    batch_size: PositiveInt = 32,
):
    """Scores a language model on a split, each of whose tokens is told once.

    Args:
        model: The language model.
        examples: `Examples` of the split.
        assets: The assets of the data.
        quantize: "int8" rounds kernels and embeddings to whole numbers of 8 bits: a quarter of the memory.
        baseline: Tell the characters of the test split by a 5-gram of the training texts, too, and pack them by xz.
        batch_size: Sequences in a step.

    Returns:
        `Evaluation` with cross-entropy in nats a token, its exponential (perplexity) and bits a character, which may be
        compared between tokenizers, each with its interval over blocks of tokens; their sums and counts; accuracy; and
        what was least expected. Of experts the load of the busiest one, and the share of tokens that found no room.
    """
    model = quantized(model) if quantize == "int8" else model
    tokenizer = Tokenizer(assets["tokenizer"])
    losses, right, told = [], [], []
    for start in range(0, len(examples), batch_size):
        inputs, labels = examples.arrays(np.arange(start, min(start + batch_size, len(examples))))
        for logits, true in zip(model.predict_on_batch(inputs), labels, strict=True):
            real = true != IGNORED
            logits, true = logits[real], true[real]
            highest = logits.max(1, initial=-np.inf)
            normal = highest + np.log(np.exp(logits - highest[:, None]).sum(1))
            losses.append((normal - logits[np.arange(len(true)), true]).astype("float64"))
            right.append(logits.argmax(1) == true)
            told.append(true)
    losses, right, told = (np.concatenate(each) for each in (losses, right, told))
    places = np.arange(_BLOCK, len(told), _BLOCK)
    characters = [len(text_of(tokenizer, block)) for block in np.split(told, places)]
    sums = np.array([[each.sum() for each in np.split(losses, places)], [len(each) for each in np.split(told, places)]])
    counts = np.vstack([sums, characters]).T  # (blocks, 3): nats, tokens, characters
    low, high = bootstrapped(counts, _means, bootstrap.bootstrap_samples)
    metrics = {}
    for number, name in enumerate(("cross_entropy", "perplexity", "bits_per_character")):
        mean = _means(counts.sum(0)[None])[0, number]
        metrics |= {name: float(mean), f"{name}_low": float(low[number]), f"{name}_high": float(high[number])}
    metrics |= {"accuracy": float(right.mean()), "nats": float(losses.sum())}
    metrics |= {"tokens": len(losses), "characters": sum(characters)}
    tables, figures = {"1_least_expected": _surprises(tokenizer, told, losses)}, {}
    spread = expert_loads.loads(model, examples, batch_size)
    if spread is not None:
        metrics |= expert_loads.scores(spread)
        tables["2_experts"] = spread
        figures["3_experts"] = lambda: expert_loads.figure(spread)
    return Evaluation(metrics, tables, figures)


def _means(counts):
    """Returns nats a token, perplexity and bits a character of sums (samples, 3)."""
    nats, tokens, characters = counts.T
    mean = nats / tokens
    return np.stack([mean, np.exp(np.minimum(mean, 700.0)), nats / np.log(2) / np.maximum(characters, 1)], -1)


def _surprises(tokenizer, told, losses):
    """Returns a table of the tokens that were least expected, with the text in front of them."""
    rows = []
    for place in np.argsort(-losses)[:_SHOWN]:
        before = text_of(tokenizer, told[max(place - 30, 0) : place])
        rows.append({"text": " ".join(before.split()), "token": tokenizer.joined([told[place]]), "nats": losses[place]})
    return pd.DataFrame(rows, columns=["text", "token", "nats"])


def predict(
    model,
    inputs,
    assets,
    *,
    max_tokens: PositiveInt = 200,
    method: Literal["sample", "greedy"] = "sample",
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    n: PositiveInt = 1,
    seed: int = 0,
    stop: tuple[str, ...] = (),
    quantize: Literal["none", "int8"] = "none",
):
    """Goes on with texts.

    Args:
        model: The language model.
        inputs: Texts, and files of them, with a beginning in each line; an empty one begins a text.
        assets: The assets of the data that the model was trained on.
        max_tokens: Most tokens that are written.
        method: "sample" draws, "greedy" takes the most probable token each time.
        temperature: Of "sample": below 1 likely tokens become likelier.
        top_k: Of "sample": only so many most probable tokens are drawn from; 0 is all.
        top_p: Of "sample": only the most probable tokens with this much probability together; 1 is all.
        n: Number of texts for each beginning.
        seed: Of "sample".
        stop: Texts in front of which writing ends.
        quantize: "int8" rounds kernels and embeddings to whole numbers of 8 bits: a quarter of the memory.

    Returns:
        Table with a row a text: `prompt`, `number` (from 1), `text` that was written, and `score`, its log-probability.

    Raises:
        KitError: a beginning in characters that the model does not know, or longer than its positions.
    """
    check(method == "sample" or n == 1, "n", n, "1 with greedy decoding")
    model = quantized(model) if quantize == "int8" else model
    tokenizer = Tokenizer(assets["tokenizer"])
    prompts, places = read_lines(inputs)
    begun = [ids for ids in _begun(model, tokenizer, prompts, places) for _ in range(n)]
    written, scores = [[] for _ in begun], np.zeros(len(begun))
    settings = _settings(method, temperature, top_k, top_p)
    for inputs, size, seeds in _turns(model, begun, written, max_tokens, method, seed):
        write = _writer(model, tokenizer, size, settings)
        for row, (sequence, score) in enumerate(zip(*map(np.asarray, write(inputs, *seeds)), strict=True)):
            if tokenizer.end_id not in written[row]:
                ends = np.flatnonzero(sequence == tokenizer.end_id)
                written[row] += sequence[: ends[0] + 1 if len(ends) else None].tolist()
                scores[row] += score
        if all(tokenizer.end_id in ids for ids in written):
            break
    rows = []
    for row, (ids, score) in enumerate(zip(written, scores, strict=True)):
        text = text_of(tokenizer, ids)
        text = text[: min([text.find(each) for each in stop if each in text], default=len(text))]
        rows.append({"prompt": prompts[row // n], "number": row % n + 1, "text": text, "score": float(score)})
    return pd.DataFrame(rows)


def stream(
    model,
    inputs,
    assets,
    *,
    max_tokens: PositiveInt = 200,
    method: Literal["sample", "greedy"] = "sample",
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    n: PositiveInt = 1,
    seed: int = 0,
    stop: tuple[str, ...] = (),
    quantize: Literal["none", "int8"] = "none",
):
    """Returns what `predict` shows of a single text, piece by piece as it is written; None where there are several.

    Args:
        model, inputs, assets, max_tokens, method, temperature, top_k, top_p, n, seed, stop, quantize: As for `predict`.

    Returns:
        Generator of pieces of text, whose sum is prompt and text; or None.

    Raises:
        KitError: as `predict`.
    """
    prompts, places = read_lines(inputs)
    if len(prompts) > 1 or n > 1:
        return None
    model = quantized(model) if quantize == "int8" else model
    tokenizer = Tokenizer(assets["tokenizer"])
    begun, written = _begun(model, tokenizer, prompts, places), [[]]

    def tokens():
        for inputs, size, seeds in _turns(model, begun, written, max_tokens, method, seed):
            write = _writer(model, tokenizer, size, _settings(method, temperature, top_k, top_p), decoding.streamed)
            for (token,) in write(inputs, *seeds):
                written[0].append(int(token))
                yield token
                if token == tokenizer.end_id:
                    return

    return _pieces(tokenizer, prompts[0], tokens(), stop)


def _pieces(tokenizer, prompt, tokens, stop):
    """Yields a prompt and the text of tokens in pieces: whole characters, and none that may begin what stops it."""
    yield prompt
    ids, shown = [], 0
    for token in tokens:
        if token == tokenizer.end_id:
            break
        ids.append(int(token))
        text = text_of(tokenizer, ids)
        found = [text.find(each) for each in stop if each in text]
        if found:
            yield text[shown : min(found)]
            return
        held = max((size for each in stop for size in range(1, len(each)) if text.endswith(each[:size])), default=0)
        safe = len(text) - max(held, len(text) - len(text.rstrip("\ufffd")))
        if safe > shown:
            yield text[shown:safe]
            shown = safe
    yield text_of(tokenizer, ids)[shown:]


def _begun(model, tokenizer, prompts, places):
    """Returns the ids that texts begin with."""
    found, most = [[tokenizer.end_id, *each] for each in tokenizer.encode(prompts)], _max_positions(model)
    for ids, place in zip(found, places, strict=True):
        if tokenizer.unknown_id is not None and tokenizer.unknown_id in ids:
            raise KitError(f"{place}: has a character that the model has never seen; expected those of its texts")
        if most is not None and len(ids) > most:
            raise KitError(f"{place}: {len(ids) - 1} tokens; expected at most {most - 1}, the positions of the network")
    return found


def _turns(model, begun, written, max_tokens, method, seed):
    """Yields what writes the next tokens: inputs, their number, and seeds.

    A network writes as far as its positions reach. Then it reads the last half of them anew, and goes on from there.

    Args:
        model: The network.
        begun: Ids that each text begins with.
        written: Ids that were written of each, which grow between the turns.
        max_tokens: Most tokens that are written.
        method, seed: As for `predict`.
    """
    check(0 <= seed < 2**31, "seed", seed, "a whole number from 0 to 2147483647")
    most, done, turn = _max_positions(model), 0, 0
    while done < max_tokens:
        ids = [[*before, *own] for before, own in zip(begun, written, strict=True)]
        if turn:
            ids = [each[-max(most // 2, 1) :] for each in ids]
        longest = max(map(len, ids))
        size = max_tokens - done if most is None else min(max_tokens - done, most + 1 - longest)
        seeds = (np.int32((seed + 1_000_003 * turn) % 2**31),) if method == "sample" else ()
        yield _padded(ids, 0), size, seeds
        done, turn = done + size, turn + 1


def _padded(ids, fill):
    """Returns ids of several lengths as the inputs of a writer."""
    lengths = np.array([len(each) for each in ids], "int32")
    found = np.full((len(ids), max(lengths)), fill, "int32")
    for row, each in enumerate(ids):
        found[row, : len(each)] = each
    return {"ids": found, "lengths": lengths}


def _settings(method, temperature, top_k, top_p):
    if method == "greedy":
        return {"method": "greedy"}
    return {"method": "sample", "temperature": float(temperature), "top_k": top_k, "top_p": float(top_p)}


def observers(network, splits, folder):
    """Returns the callback that lets the network write after some epochs."""

    def write():
        return predict(network, [""], splits.assets, max_tokens=_EXAMPLE)["text"][0]

    return [Written(write, folder / "samples")]


def _max_positions(model):
    """Returns how many positions a network has learned; None where it has any number."""
    return model.get_layer("decoder").max_length


def _writer(model, tokenizer, max_tokens, settings, make=decoding.compiled):
    """Returns the compiled function that writes, one for each way of doing so."""
    made = _COMPILED.setdefault(model, {})
    key = (make, tokenizer.end_id, max_tokens, *sorted(settings.items()))
    if key not in made:
        others = {name: value for name, value in settings.items() if name != "method"}
        made[key] = make(
            writing_step(model),
            getattr(decoding, settings["method"]),
            decoding.Tokens(start=None, end=tokenizer.end_id, pad=tokenizer.end_id),
            max_length=max_tokens,
            prompt=lambda inputs: (inputs["ids"], inputs["lengths"]),
            **others,
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
        stream=stream,
        baseline=language_baseline.beside,
        observers=observers,
        show=show,
        inputs="text",
        usage='--text "ROMEO:" --max-tokens 200',
        served={"n": 8},
        by_chance={"method": "sample"},
    )
