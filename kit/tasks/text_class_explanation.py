"""Explanation of classified texts: attention maps, and integrated gradients as texts in colours, word by word."""

from typing import Literal

import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.attribution.token_embeddings import TokenEmbeddings
from kit.data.labelled_texts import TEXTS, Lengths, text_examples
from kit.data.text_inputs import read_parts
from kit.data.tokens import Tokenizer
from kit.errors import SettingError, choose
from kit.reporting import token_plots
from kit.reporting.explanation import Explanation
from kit.scoring.classification import softmax
from kit.tasks.attention_maps import attention_parts, has_attention
from kit.tasks.text_explanation import INCOMPLETE, strongest

_MOST_MISTAKES = 12


def functions():
    """Returns all that shows what answers to texts rest on, as arguments of `kit.tasks.classification.task`."""
    return {"explained": mistakes_explained, "explain": explain}


def explain(
    model,
    inputs,
    assets,
    *,
    method: Literal["auto", "attention", "integrated_gradients"] = "auto",
    target: str | None = None,
    reference: Literal["auto", "mask", "zero", "padding"] = "auto",
    steps: PositiveInt = 64,
    most_inputs: PositiveInt = 4,
    temperature_scaling: bool = True,
):
    """Shows which words of texts the answer rests on, and which token looks at which.

    Args:
        model: The classifier.
        inputs: As for `predict`.
        assets: The assets of the data that the model was trained on.
        method: "attention" draws the attention weights of every layer and head, with numbers of each head;
            "integrated_gradients" (Sundararajan et al., 2017) finds what each word adds to the logit of the class;
            "auto" is both, or the latter alone where an architecture has no attention.
        target: Name of the class that is explained; by default the one that was answered.
        reference: What the embeddings of tokens are where integrated gradients begin: those of the "mask" that stands
            for a hidden token, "zero", or those of "padding"; start and end keep theirs. "auto" is "mask" where the
            tokenizer has one, as published ones of BERT and DeBERTa do, and "zero" otherwise.
        steps: Points between the two at which gradients are taken.
        most_inputs: Number of texts that are explained; of more the first.
        temperature_scaling: Divide logits by the temperature that fitted the validation split best.

    Returns:
        `Explanation` with a row a text: `input`, `label`, `probability`, `explained` (the class), `method`, and of
        integrated gradients `because` (the words that add most), `attributed` (sum of what the words add),
        `difference` (of the logits of text and reference) and `gap` (what the sum lacks, as a share). Its tables are
        `words`, with what each word adds, and `heads`, with what each head looks at: `mean_distance` in tokens, and
        the shares of its weights on `neighbours`, `itself` and `special` tokens.

    Raises:
        KitError: no text, or a file that cannot be read.
        SettingError: an unknown class, or attention of an architecture that has none.
    """
    names = list(map(str, assets["class_names"]))
    wanted = None if target is None else choose({name: row for row, name in enumerate(names)}, target, "target")
    parts = read_parts(inputs, assets["num_texts"])
    count, parts = len(parts[0]), [part[:most_inputs] for part in parts]
    texts, tokenizer = list(zip(*parts, strict=True)), Tokenizer(assets["tokenizer"])
    examples, _, longer = text_examples(parts, tokenizer, Lengths(assets["max_length"]))
    batches = [examples.arrays([row])[0] for row in range(len(texts))]
    logits = backend.predict_on_batch(model, examples.arrays(np.arange(len(texts)))[0])
    shares = softmax(logits / (assets.get("temperature", 1.0) if temperature_scaling else 1.0))
    predicted = shares.argmax(1)
    classes = predicted if wanted is None else np.full(len(texts), wanted)
    is_drawn = method == "attention" or (method == "auto" and has_attention(model))
    used = [name for name in ("attention", "integrated_gradients") if name == method or method == "auto"]
    used = used if is_drawn else used[-1:]
    table = {
        "input": [" | ".join(each) for each in texts],
        "label": [names[index] for index in predicted],
        "probability": shares.max(1).astype("float64"),
        "explained": [names[index] for index in classes],
        "method": " and ".join(used).replace("_", " "),
    }
    tables, figures, arrays, notes = {}, {}, {}, []
    if "integrated_gradients" in used:
        found = _integrated(model, tokenizer, batches, texts, classes, reference, steps)
        table["because"] = [each.because() for each in found]
        table["attributed"] = [float(each.of_tokens.sum()) for each in found]
        table["difference"] = [each.attribution.answer - each.attribution.baseline for each in found]
        table["gap"] = [each.attribution.gap for each in found]
        tables["words"] = pd.concat([each.table(row) for row, each in enumerate(found, 1)], ignore_index=True)
        for row, each in enumerate(found):
            shown = f"{names[predicted[row]]} {shares[row].max():.0%}"
            shown += "" if classes[row] == predicted[row] else f", explained: {names[classes[row]]}"
            figures[f"{row + 1:02}_words"] = lambda each=each, shown=shown: token_plots.coloured([(shown, each.parts)])
            arrays[f"tokens_{row + 1}"] = each.of_tokens
        notes += _notes(_neutral(tokenizer, reference)[0], max(table["gap"]))
    if "attention" in used:
        shown = [
            (tokenizer.pieces(batch["ids"][0]), np.array(tokenizer.is_special(batch["ids"][0]))) for batch in batches
        ]
        tables["heads"], drawn, weights, more = attention_parts(model, batches, shown)
        figures, arrays, notes = figures | drawn, arrays | weights, [*notes, *more]
    if longer:
        notes.append(f"Of {longer} long texts the first {assets['max_length']} tokens (data.max_length).")
    if count > most_inputs:
        notes.append(f"The first {most_inputs} of {count} texts; explain.most_inputs says how many.")
    return Explanation("What the answers rest on", pd.DataFrame(table), figures, arrays, tuple(notes), tables)


def mistakes_explained(model, examples, assets, rows, captions, classes):
    """Draws texts in colours: which words speak for the class that each was taken for.

    Args:
        model: The classifier.
        examples: `Examples` of texts.
        assets: The assets of the data.
        rows: Rows of those that are drawn, the first twelve.
        captions: What is said of each.
        classes: Index of the class that each was taken for.
    """
    rows, tokenizer = rows[:_MOST_MISTAKES], Tokenizer(assets["tokenizer"])
    batches = [examples.arrays([row])[0] for row in rows]
    columns = [examples.extra(name) for name in TEXTS if name in examples.extras]
    texts = [tuple(values[row] for values in columns) for row in rows]
    found = _integrated(model, tokenizer, batches, texts, classes[:_MOST_MISTAKES], "auto", 32)
    shown = [" ".join(caption.split()) for caption in captions[:_MOST_MISTAKES]]
    return token_plots.coloured([(caption, each.parts) for caption, each in zip(shown, found, strict=True)])


class _Words:
    """Integrated gradients of a text, or of a pair, by words: what each adds to a logit.

    Args:
        tokenizer: The `Tokenizer`.
        batch: Inputs of the text, a batch of one.
        texts: The text, or both of a pair.
        of_tokens: What each token adds, (time,).
        attribution: `Attribution` that it is from.
    """

    def __init__(self, tokenizer, batch, texts, of_tokens, attribution):
        self.of_tokens, self.attribution, self.parts = of_tokens, attribution, []
        ids = batch["ids"][0]
        segments = batch.get("segments", np.zeros_like(batch["ids"]))[0]
        pieces, start = np.array(tokenizer.pieces(ids), object), 1
        self._rows = [(1, pieces[0], pieces[0], of_tokens[0])]
        for number, text in enumerate(texts):
            stop = int(np.flatnonzero(segments == number)[-1])  # where the end stands
            words, owners = tokenizer.words(text)
            owners = np.array(owners[: stop - start], int)  # what is cut off adds nothing
            added = np.bincount(owners, of_tokens[start:stop])
            self.parts.append(list(zip(words, added, strict=False)))
            for word, value in enumerate(added):
                self._rows.append((number + 1, words[word], " ".join(pieces[start:stop][owners == word]), value))
            self._rows.append((number + 1, pieces[stop], pieces[stop], of_tokens[stop]))
            start = stop + 1

    def because(self):
        """Returns the words that add most, and how much, as text."""
        words = [pair for part in self.parts for pair in part]
        return strongest([value for _, value in words], [word for word, _ in words])

    def table(self, row):
        """Returns a table with a row a word: `text` (from 1), `part` of a pair, `word`, its `pieces` and `adds`."""
        table = pd.DataFrame(self._rows, columns=["part", "word", "pieces", "adds"])
        table.insert(0, "text", row)
        return table if len(self.parts) > 1 else table.drop(columns="part")


def _integrated(model, tokenizer, batches, texts, classes, reference, steps):
    """Returns the `_Words` of each text."""
    try:
        embeddings = TokenEmbeddings(model)
    except LookupError:
        raise SettingError("method", "this architecture has no embeddings of tokens that can be seen") from None
    neutral, found = _neutral(tokenizer, reference)[1], []
    for batch, own, label in zip(batches, texts, classes, strict=True):
        special = np.array(tokenizer.is_special(batch["ids"][0]))
        values, attribution = embeddings.attribution(batch, label, special, neutral, steps=steps)
        found.append(_Words(tokenizer, batch, own, values, attribution))
    return found


def _neutral(tokenizer, reference):
    """Returns the name of the reference, which may be "auto", and the id of its token, None where it is 0."""
    if reference == "auto":
        reference = "zero" if tokenizer.mask_id is None else "mask"
    if reference == "mask" and tokenizer.mask_id is None:
        raise SettingError("reference", "the tokenizer has no token for hidden ones, such as [MASK]; expected 'zero'")
    return reference, {"zero": None, "padding": tokenizer.pad_id, "mask": tokenizer.mask_id}[reference]


def _notes(reference, worst):
    """Returns in sentences what integrated gradients show."""
    beside = "0" if reference == "zero" else f"those of {reference}"
    notes = [
        "Integrated gradients: red words raise the logit of the class, beside a text whose embeddings are all "
        f"{beside}, start and end apart; blue ones lower it. They add up to the difference of the two."
    ]
    if worst > INCOMPLETE:
        notes.append(
            f"Of a text they lack up to {worst:.0%} of the difference: raise explain.steps, or choose another "
            "explain.reference."
        )
    return notes
