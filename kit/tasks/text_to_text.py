"""Text to text: one text written for another by the task in front of it; scores of each task, predictions."""

import logging
from typing import Literal

import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend, terminal
from kit.data.text_inputs import read_lines
from kit.data.tokens import Tokenizer
from kit.reporting.statistics import Bootstrap
from kit.scoring import rouge
from kit.scoring import text as scores
from kit.tasks import generation
from kit.tasks.generation import Beam
from kit.tasks.recipe import Evaluation, Task

log = logging.getLogger("kit")

_MOST_POSITIONS = 4096  # tokens of a batch whose logits are in memory
_SAMPLES = 12  # texts with spans left out that are shown
_OF_TASK = ("exact_match", "bleu", "chrf", *rouge.NAMES)
_IN_LOG = ("exact_match", "bleu", "chrf", "rougeL")


def token_scores(model, examples, pad_id, batch_size):
    """Returns the cross-entropy of a token of what is to be written, given those before it, and what follows from it.

    Args:
        model: The model.
        examples: `Examples` of pairs of texts.
        pad_id: Id of padding.
        batch_size: Texts in a step.

    Returns:
        Dictionary: `cross_entropy` in nats, `perplexity` and `token_accuracy`, over all tokens of the split.
    """
    losses, right = [], []
    for rows in examples.chunks(batch_size, _MOST_POSITIONS):
        inputs, labels = examples.arrays(rows)
        real = labels != pad_id
        logits, true = backend.predict_on_batch(model, inputs)[real].astype("float64"), labels[real]
        highest = logits.max(1)
        normal = highest + np.log(np.exp(logits - highest[:, None]).sum(1))
        losses.append(normal - logits[np.arange(len(true)), true])
        right.append(logits.argmax(1) == true)
    losses, right = np.concatenate(losses), np.concatenate(right)
    return {
        "cross_entropy": float(losses.mean()),
        "perplexity": float(np.exp(min(losses.mean(), 700.0))),
        "token_accuracy": float(right.mean()),
    }


def scores_of_tasks(found, references, tasks):
    """Returns a table of the scores of each task: a row a task, its name, its number of texts, and `_OF_TASK`.

    BLEU is of sequences of up to four words: where no reference has so many, such as names of classes, there is none.
    """
    rows, tasks = [], np.asarray(tasks, object)
    for task in sorted(set(tasks)):
        own = np.flatnonzero(tasks == task)
        sides = [[texts[row] for row in own] for texts in (found, references)]
        values = scores.corpus_scores(*sides) | rouge.corpus_scores(*sides)
        if max(len(text.split()) for text in sides[1]) < 4:
            values["bleu"] = None
        rows.append({"task": task, "texts": len(own)} | {name: values[name] for name in _OF_TASK})
    return pd.DataFrame(rows)


def task(writing_step):
    """Returns the `Task` of text to text, of examples as `kit.data.prefixed_texts` makes them.

    Args:
        writing_step: Function `(model, pad_id)` that returns what `kit.decoding` asks for, as for `generation.task`.
    """
    scored = ("exact_match", "chrf", "bleu")
    base = generation.task(writing_step, lambda model: None, validated=scored, name="answer", by_padding=True)

    def validate(model, examples, assets):
        """Returns exact match, chrF and BLEU of what is written greedily; nothing of texts with spans left out."""
        return {} if assets["objective"] == "span_corruption" else base.validate(model, examples, assets)

    def evaluate(
        model,
        examples,
        assets,
        *,
        beam: Beam = Beam(),
        bootstrap: Bootstrap = Bootstrap(),
        batch_size: PositiveInt = 64,
    ):
        """Scores a model on a split.

        Args:
            model: The model.
            examples: `Examples` of the split.
            assets: The assets of the data.
            batch_size: Texts that are written together.

        Returns:
            `Evaluation` with cross-entropy of a token of the targets, its exponential (perplexity) and the share of
            tokens that are the most probable; of tasks also exact match, BLEU, chrF and ROUGE, of all together and of
            each.
        """
        tokenizer = Tokenizer(assets["tokenizer"])
        metrics = token_scores(model, examples, tokenizer.pad_id, batch_size)
        if assets["objective"] == "span_corruption":
            return Evaluation(metrics, {"1_spans_that_were_left_out": _filled_in(model, examples, assets)})
        written = base.evaluate(model, examples, assets, beam=beam, bootstrap=bootstrap, batch_size=batch_size)
        samples, pairs = written.tables.values()
        texts, tasks = written.predictions(), list(examples.extra("task"))
        table = scores_of_tasks(texts["prediction"].tolist(), texts["label"].tolist(), tasks)
        whole = rouge.corpus_scores(texts["prediction"], texts["label"])
        metrics = written.metrics | whole | metrics
        for row in table.to_dict("records") if len(table) > 1 else ():
            metrics |= {f"{row['task']}: {name}": row[name] for name in _IN_LOG if pd.notna(row[name])}
        tables = {
            "1_scores_of_each_task": table,
            "2_texts_from_best_to_worst": samples.rename(columns={"translation": "written"}),
            "3_pairs_of_texts": pairs,
        }
        predictions = texts.assign(task=tasks)
        return Evaluation(metrics, tables, written.figures, lambda: predictions)

    def _filled_in(model, examples, assets):
        """Returns a table of some texts with spans left out, what was there, and what is written greedily."""
        chosen = examples.take(np.unique(np.linspace(0, len(examples) - 1, _SAMPLES).astype(int)))
        sources, targets = chosen.extra("source").tolist(), chosen.extra("target").tolist()
        with terminal.log_quiet():
            found = base.predict(model, sources, assets, method="greedy")["translation"]
        return pd.DataFrame({"text": sources, "left out": targets, "written": found.tolist()})

    def predict(
        model,
        inputs,
        assets,
        *,
        method: Literal["beam", "greedy", "sample"] = "beam",
        beam: Beam = Beam(),
        n_best: PositiveInt = 1,
        max_tokens: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        attention: str | None = None,
        batch_size: PositiveInt = 64,
    ):
        """Writes texts for others, each with its task in front, such as `summarize: ...`.

        Args:
            model: The model.
            inputs: A text, a file (`pathlib.Path`), or a list of these, with a text in each line. Of an empty line
                what is written is empty.
            assets: The assets of the data that the model was trained on.
            method: "beam" searches for the most probable text, "greedy" takes the most probable token each time,
                "sample" draws.
            n_best: Number of texts written for each, the best first; of a beam, or drawn.
            max_tokens: Most tokens of what is written; 0 is twice those of the text and ten more, or as many as the
                longest target of the training.
            temperature: Of "sample": below 1 likely tokens become likelier.
            top_k: Of "sample": only so many most probable tokens are drawn from; 0 is all.
            top_p: Of "sample": only the most probable tokens with this much probability together; 1 is all.
            seed: Of "sample".
            attention: PNG file to draw what the first text's tokens looked at to.
            batch_size: Texts that are written together.

        Returns:
            Table with a row a text that is written: `sentence` (number of the line, from 1), `source`, `rank` (from 1),
            `written`, `score` (the log-probability, of a beam divided by the length penalty).

        Raises:
            KitError: no text, one in characters that the model does not know at all, or a file that cannot be read.
        """
        _warn(*read_lines(inputs), assets)
        found = base.predict(
            model,
            inputs,
            assets,
            method=method,
            beam=beam,
            n_best=n_best,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            attention=attention,
            batch_size=batch_size,
        )
        return found.rename(columns={"translation": "written"})

    def pooled(predictions, assets, settings):
        """Scores the texts of all folds together."""
        found, references = (predictions[name].tolist() for name in ("prediction", "label"))
        metrics = scores.corpus_scores(found, references, settings["bootstrap_samples"])
        table = scores_of_tasks(found, references, predictions["task"])
        return Evaluation(metrics | rouge.corpus_scores(found, references), {"1_scores_of_each_task": table})

    return Task(
        monitors={"val_chrf": "max", "val_exact_match": "max", "val_bleu": "max", "val_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        show=show,
        explain=base.explain,
        inputs="text",
        usage='--text "TASK: ..."',
        pooled=pooled,
        by_chance=base.by_chance,
        check=base.check,
    )


def _warn(lines, places, assets):
    """Says in the log which texts have no task of the training in front, and which are longer than any in it."""
    if not any(line.strip() for line in lines):
        return
    tokenizer, known = Tokenizer(assets["tokenizer"]), assets["tasks"]
    lengths = [len(ids) for ids in tokenizer.encode(lines)]
    long = [row for row, length in enumerate(lengths) if length > assets["max_length"]]
    if long:
        log.warning(
            "%s: %s tokens, where training had at most %s (data.max_length): worse may be written (%d such texts)",
            *(places[long[0]], lengths[long[0]], assets["max_length"], len(long)),
        )
    strange = [place for line, place in zip(lines, places, strict=True) if line.strip() and not _has_task(line, known)]
    if known and strange:
        names = ", ".join(f"'{name}: ...'" for name in known[:8])
        more = "" if len(known) <= 8 else f" and {len(known) - 8} more"
        log.warning(
            "%s: no task of the training in front; known are %s%s (%d such texts)",
            *(strange[0], names, more, len(strange)),
        )


def _has_task(line, known):
    return any(line.strip().startswith(f"{name}:") for name in known)


def show(predictions, is_terminal):
    """Returns what was written, one a line; where there are several of a text, with rank and score."""
    if predictions["rank"].max() == 1:
        return "\n".join(predictions["written"])
    rows = predictions[["sentence", "rank", "score", "written"]].itertuples(index=False)
    return "\n".join(f"{line}.{rank}\t{score:.3f}\t{text}" for line, rank, score, text in rows)
