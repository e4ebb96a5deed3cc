"""Language modelling: the next token; perplexity, bits a character, and texts that a network writes."""

import dataclasses
from typing import Literal

import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend, decoding
from kit.data.lossless_tokens import beginning_of, text_of
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
        for logits, true in zip(backend.predict_on_batch(model, inputs), labels, strict=True):
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


@dataclasses.dataclass(frozen=True)
class Writing:
    """How a language model goes on with texts.

    Args:
        max_tokens: Most tokens that are written.
        method: "sample" draws, "greedy" takes the most probable token each time.
        temperature: Of "sample": below 1 likely tokens become likelier.
        top_k: Of "sample": only so many most probable tokens are drawn from; 0 is all.
        top_p: Of "sample": only the most probable tokens with this much probability together; 1 is all.
        n: Number of texts for each beginning.
        seed: Of "sample".
        stop: Texts in front of which writing ends.
        quantize: "int8" rounds kernels and embeddings to whole numbers of 8 bits: a quarter of the memory.

    Raises:
        SettingError: a value out of range.
    """

    max_tokens: PositiveInt = 200
    method: Literal["sample", "greedy"] = "sample"
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    n: PositiveInt = 1
    seed: int = 0
    stop: tuple[str, ...] = ()
    quantize: Literal["none", "int8"] = "none"

    def __post_init__(self):
        check(self.method == "sample" or self.n == 1, "n", self.n, "1 with greedy decoding")
        check(0 <= self.seed < 2**31, "seed", self.seed, "a whole number from 0 to 2147483647")

    def writer(self, model, end, size, make):
        """Returns the function that writes so many tokens, made once for a model and each way of writing.

        Args:
            model: The language model.
            end: Token behind a text.
            size: Number of tokens.
            make: `kit.decoding.compiled` or `kit.decoding.streamed`.
        """
        drawn = {"temperature": float(self.temperature), "top_k": self.top_k, "top_p": float(self.top_p)}
        drawn = drawn if self.method == "sample" else {}

        def made():
            return make(
                writing_step(model),
                getattr(decoding, self.method),
                decoding.Tokens(start=None, end=end, pad=end),
                max_length=size,
                model=model,
                prompt=lambda inputs: (inputs["ids"], inputs["lengths"]),
                **drawn,
            )

        return decoding.made_once(model, (make, self.method, end, size, *drawn.items()), made)


def predict(model, inputs, assets, *, writing: Writing = Writing()):
    """Goes on with texts.

    Args:
        model: The language model.
        inputs: Texts, each a beginning as a whole, and files with a beginning in each line; an empty one begins a text.
        assets: The assets of the data that the model was trained on.

    Returns:
        Table with a row a text: `prompt`, `number` (from 1), `text` that was written, and `score`, its log-probability.

    Raises:
        KitError: a beginning in characters that the model does not know, or longer than its positions.
    """
    model, tokenizer, prompts, begun = _read(model, inputs, assets, writing)
    begun = [ids for ids in begun for _ in range(writing.n)]
    written, scores = [[] for _ in begun], np.zeros(len(begun))
    for batch, size, seeds in _turns(model, begun, written, writing):
        write = writing.writer(model, tokenizer.end_id, size, decoding.compiled)
        for row, (sequence, score) in enumerate(zip(*map(np.asarray, write(batch, *seeds)), strict=True)):
            if tokenizer.end_id not in written[row]:
                ends = np.flatnonzero(sequence == tokenizer.end_id)
                written[row] += sequence[: ends[0] + 1 if len(ends) else None].tolist()
                scores[row] += score
        if all(tokenizer.end_id in ids for ids in written):
            break
    rows = []
    for row, (before, ids, score) in enumerate(zip(begun, written, scores, strict=True)):
        text = text_of(tokenizer, [*before, *ids])[len(text_of(tokenizer, before)) :]
        text = text[: min([text.find(each) for each in writing.stop if each in text], default=len(text))]
        number = row % writing.n + 1
        rows.append({"prompt": prompts[row // writing.n], "number": number, "text": text, "score": float(score)})
    return pd.DataFrame(rows)


def stream(model, inputs, assets, *, writing: Writing = Writing()):
    """Returns what `predict` shows of a single text, piece by piece as it is written; None where there are several.

    Args:
        model, inputs, assets: As for `predict`.

    Returns:
        Generator of pieces of text, whose sum is prompt and text; or None.

    Raises:
        KitError: as `predict`.
    """
    model, tokenizer, prompts, begun = _read(model, inputs, assets, writing)
    if len(prompts) > 1 or writing.n > 1:
        return None

    def tokens(written):
        for batch, size, seeds in _turns(model, begun, [written], writing):
            for (token,) in writing.writer(model, tokenizer.end_id, size, decoding.streamed)(batch, *seeds):
                written.append(int(token))
                yield int(token)
                if token == tokenizer.end_id:
                    return

    return _pieces(tokenizer, prompts[0], begun[0], tokens([]), writing.stop)


def _pieces(tokenizer, prompt, begun, tokens, stop):
    """Yields a prompt and the text of tokens in pieces: whole characters, and none that may begin what stops it.

    Args:
        tokenizer: The `Tokenizer`.
        prompt: The prompt.
        begun: Its ids, which decide whether a space stands in front of what follows.
        tokens: Ids that are written, one after the other.
        stop: Texts in front of which writing ends.
    """
    yield prompt
    ids, read, held = list(begun), 0, ""
    done = len(ids)  # those before are text already, those from `read` on are looked at
    for token in tokens:
        ids.append(token)
        before, text = text_of(tokenizer, ids[read:done]), text_of(tokenizer, ids[read:])
        if text.endswith("\ufffd"):
            continue  # a character that is not whole yet
        read, done, held = done, len(ids), held + text[len(before) :]
        found = [held.find(each) for each in stop if each in held]
        if found:
            yield held[: min(found)]
            return
        kept = max((size for each in stop for size in range(1, len(each)) if held.endswith(each[:size])), default=0)
        if len(held) > kept:
            yield held[: len(held) - kept]
            held = held[len(held) - kept :]
    yield held + text_of(tokenizer, ids[read:])[len(text_of(tokenizer, ids[read:done])) :]


def _read(model, inputs, assets, writing):
    """Returns the network that writes, the tokenizer, the beginnings, and their ids.

    Raises:
        KitError: as `predict`.
    """
    prompts, places = [], []
    for each in inputs if isinstance(inputs, list | tuple) else [inputs]:
        lines = ([each], ["text"]) if isinstance(each, str) else read_lines(each)
        prompts += lines[0]
        places += lines[1]
    tokenizer, most = Tokenizer(assets["tokenizer"]), _max_positions(model)
    begun = [[beginning_of(tokenizer), *ids] for ids in tokenizer.encode(prompts)]
    for ids, place in zip(begun, places, strict=True):
        if tokenizer.unknown_id is not None and tokenizer.unknown_id in ids:
            raise KitError(f"{place}: has a character that the model has never seen; expected those of its texts")
        if most is not None and len(ids) > most:
            raise KitError(f"{place}: {len(ids) - 1} tokens; expected at most {most - 1}, the positions of the network")
    return quantized(model) if writing.quantize == "int8" else model, tokenizer, prompts, begun


def _turns(model, begun, written, writing):
    """Yields what writes the next tokens: inputs, their number, and seeds.

    A network writes as far as its positions reach. Then it reads the last half of them anew, and goes on from there.

    Args:
        model: The network.
        begun: Ids that each text begins with.
        written: Ids that were written of each, which grow between the turns.
        writing: `Writing`.
    """
    most, done, turn = _max_positions(model), 0, 0
    while done < writing.max_tokens:
        ids = [[*before, *own] for before, own in zip(begun, written, strict=True)]
        if turn:
            ids = [each[-max(most // 2, 1) :] for each in ids]
        longest = max(map(len, ids))
        size = writing.max_tokens - done
        size = size if most is None else min(size, most + 1 - longest)
        seeds = (np.int32((writing.seed + 1_000_003 * turn) % 2**31),) if writing.method == "sample" else ()
        yield _padded(ids), size, seeds
        done, turn = done + size, turn + 1


def _padded(ids):
    """Returns ids of several lengths as the inputs of a writer."""
    lengths = np.array([len(each) for each in ids], "int32")
    found = np.zeros((len(ids), max(lengths)), "int32")
    for row, each in enumerate(ids):
        found[row, : len(each)] = each
    return {"ids": found, "lengths": lengths}


def observers(network, splits, folder):
    """Returns the callback that lets the network write after some epochs."""

    def write():
        return predict(network, "", splits.assets, writing=Writing(max_tokens=_EXAMPLE))["text"][0]

    return [Written(write, folder / "samples")]


def _max_positions(model):
    """Returns how many positions a network has learned; None where it has any number."""
    return model.get_layer("decoder").max_length


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
