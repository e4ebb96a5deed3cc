"""Extractive question answering: which span of a passage answers a question; exact match, F1, "no answer"."""

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.data.question_inputs import read_questions
from kit.data.question_windows import FIRST, OWN_START, OWN_STOP, PLACE, SIZE, WindowOptions, question_examples
from kit.data.tokens import Tokenizer
from kit.errors import SettingError
from kit.reporting.statistics import Bootstrap
from kit.scoring import question_answering as scores
from kit.tasks.any_length import compile_for_all_lengths
from kit.tasks.question_scores import baseline, pooled, predictions_of, scored
from kit.tasks.recipe import Evaluation, Task, members
from kit.training.decay import sparing
from kit.training.metrics import Accuracy
from kit.training.parts import ModelOfParts

_MOST_LENGTH = 1000  # tokens of an answer; every span of at most so many is looked at
_FAR = 1e6


def compiled(inputs, logits, optimizer, name):
    """Returns a compiled model from ids and segments to logits (batch, 2, time) of first and last token.

    Its loss is the mean of both cross-entropies, its accuracy the share of both that are right.
    """
    model = ModelOfParts(inputs, logits, name=name)
    # XLA would compile anew for every length of windows.
    model.compile(
        optimizer=sparing(optimizer, model),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[Accuracy()],
        jit_compile=False,
    )
    return model


class Answers:
    """The best answers to questions, and how probable they are, from logits of all their windows.

    Args:
        pairs: Pairs of a model and the examples as it is given them; the logits of several are averaged.
        batch_size: Windows in a step.
        max_answer_length: Most tokens of an answer.
        count: How many answers to each question are kept.

    Attributes:
        rows: Row of the first window of each question in the examples.
        spans: Of each question (score, first, last character) of its best answers, the best first.
        nulls: Score of "no answer" to each: the lowest of its windows'.
        totals: Logarithm of the sum of the exponentials of the scores of all spans.
    """

    def __init__(self, pairs, batch_size, max_answer_length, count=1):
        if max_answer_length > _MOST_LENGTH:
            raise SettingError("max_answer_length", f"expected at most {_MOST_LENGTH}, got {max_answer_length}")
        _, examples = pairs[0]
        numbers, self.windows = examples.extra("number"), examples.extra("window")
        _, self.rows, of_row = np.unique(numbers, return_index=True, return_inverse=True)
        self.spans = [[] for _ in self.rows]
        self.nulls, self.totals = np.full(len(self.rows), np.inf), np.full(len(self.rows), -np.inf)
        for each, own in pairs if len(examples) else ():
            compile_for_all_lengths(each, own.arrays([0])[0])
        self.known = examples.extra("spans")
        for rows in examples.chunks(batch_size):
            found = [backend.predict_on_batch(each, own.arrays(rows)[0]) for each, own in pairs]
            logits = found[0] if len(found) == 1 else np.mean(found, 0)
            starts, ends = self._allowed(rows, logits.shape[2])
            best = scores.best_spans(logits, starts, ends, max_answer_length, count)
            for row, null, *of_window in zip(rows, logits[:, :, 0].sum(1), *best, strict=True):
                self._add(row, of_row[row], float(null), *of_window, count)

    def _allowed(self, rows, time):
        """Returns the positions at which an answer may begin, and end, (windows, time)."""
        ends, starts = np.zeros((2, len(rows), time), bool)
        for index, row in enumerate(rows):
            window, spans = self.windows[row], self.known[row]
            first, place = window[FIRST], window[PLACE]
            has_text = spans[:, 0] < spans[:, 1]  # some tokens are nothing but a space
            ends[index, place : place + window[SIZE]] = has_text[first : first + window[SIZE]]
            own = slice(window[OWN_START], window[OWN_STOP])
            starts[index, place + own.start - first : place + own.stop - first] = has_text[own]
        return starts, ends

    def _add(self, row, number, null, values, first, last, total, count):
        window, spans = self.windows[row], self.known[row]
        shift = window[FIRST] - window[PLACE]
        found = [
            (float(value), int(spans[start + shift, 0]), int(spans[stop + shift, 1]))
            for value, start, stop in zip(values, first, last, strict=True)
            if value > -np.inf
        ]
        self.spans[number] = sorted([*self.spans[number], *found], reverse=True)[:count]
        self.nulls[number] = min(self.nulls[number], null)
        self.totals[number] = np.logaddexp(self.totals[number], total)

    @property
    def differences(self):
        """By how much the score of "no answer" is above that of the best answer to each question."""
        best = np.array([found[0][0] if found else -np.inf for found in self.spans])
        return np.clip(self.nulls - best, -_FAR, _FAR)

    def best(self, number, passage, threshold=None):
        """Returns the answers to a question, the best first: text, probability, first and last character.

        Args:
            number: Number of the question.
            passage: Its passage.
            threshold: By how much the score of "no answer", an empty text at -1, has to be above that of an answer to
                come before it; None where there always is an answer.
        """
        found = [(value, passage[first:last], first, last) for value, first, last in self.spans[number]]
        total = self.totals[number]
        null = self.nulls[number]
        if threshold is not None:
            total = np.logaddexp(total, null)
            place = sum(value >= null - threshold for value, *_ in found)
            found.insert(place, (null, "", -1, -1))
        if not found:  # a passage without a token that could be an answer
            return [("", 1.0, -1, -1)]
        return [(text, float(np.exp(value - total)), first, last) for value, text, first, last in found]


def _answered(model, examples, assets, batch_size, max_answer_length, threshold=0.0):
    """Returns `Answers`, and text and probability of the best one to each question of a split."""
    answers = Answers([(model, examples)], batch_size, max_answer_length)
    passages = examples.extra("passage")[answers.rows]
    limit = threshold if assets["has_unanswerable"] else None
    best = [answers.best(number, passage, limit)[0] for number, passage in enumerate(passages)]
    return answers, best


def validate(model, examples, assets):
    """Returns exact match and F1 over questions, which `fit` cannot compute window by window."""
    answers, best = _answered(model, examples, assets, 64, 30)
    golds = examples.extra("answers")[answers.rows]
    found = [scores.scores(text, [gold for gold, _ in each]) for (text, *_), each in zip(best, golds, strict=True)]
    exact, f1 = np.mean(found, 0)
    return {"f1": float(f1), "exact_match": float(exact)}


def calibrate(model, examples, assets, *, max_answer_length: PositiveInt = 30, batch_size: PositiveInt = 64):
    """Returns the threshold of "no answer" that gives the best F1; nothing where each question has an answer."""
    if not assets["has_unanswerable"]:
        return {}
    answers = Answers([(model, examples)], batch_size, max_answer_length)
    rows = answers.rows
    found = []
    for number, (passage, each) in enumerate(
        zip(examples.extra("passage")[rows], examples.extra("answers")[rows], strict=True)
    ):
        golds = [gold for gold, _ in each]
        found.append((scores.scores(answers.best(number, passage)[0][0], golds)[1], scores.scores("", golds)[1]))
    return {"null_threshold": scores.best_threshold(answers.differences, *np.transpose(found))}


def evaluate(
    model,
    examples,
    assets,
    *,
    max_answer_length: PositiveInt = 30,
    baseline: bool = True,
    bootstrap: Bootstrap = Bootstrap(),
    batch_size: PositiveInt = 64,
):
    """Scores answers to the questions of a split.

    Args:
        model: The network.
        examples: `Examples` of the split, as `question_examples` makes them.
        assets: The assets of the data.
        max_answer_length: Most tokens of an answer.
        baseline: Score, beside the network, the sentence of the passage that shares most words with the question.
        batch_size: Windows in a step.

    Returns:
        `Evaluation` with exact match and F1 as SQuAD's script computes them, with their intervals; where questions
        have no answer also those of the others alone, the share of those without that are answered so, and the
        threshold of "no answer", which was chosen on the validation split.
    """
    threshold = assets.get("null_threshold", 0.0)
    answers, best = _answered(model, examples, assets, batch_size, max_answer_length, threshold)
    table = predictions_of(examples, answers.rows, best)
    found = scored(table, bootstrap.bootstrap_samples)
    if assets["has_unanswerable"]:
        found.metrics["null_threshold"] = float(threshold)
    predictions = table.drop(columns=["passage", "tokens"])
    return Evaluation(found.metrics, found.tables, found.figures, lambda: predictions.copy())


def predict(
    model,
    inputs,
    assets,
    *,
    n_best: PositiveInt = 1,
    max_answer_length: PositiveInt = 30,
    batch_size: PositiveInt = 64,
):
    """Answers questions by spans of their passages.

    Args:
        model: The network, or an `Ensemble` of such, whose logits are averaged.
        inputs: Pairs (question, passage), or texts and files with a question and its passage in each line, a tab
            between them; of .jsonl files `question` and `context` of each object, of .json files SQuAD's layout.
        assets: The assets of the data that the model was trained on.
        n_best: Number of answers to each question.
        max_answer_length: Most tokens of an answer.
        batch_size: Windows in a step.

    Returns:
        Table with a row an answer: `question`, `answer`, `probability`, `start` and `end` of it in the passage, in
        characters, and its `rank` from 1. An empty answer at -1 says that the passage does not answer the question.

    Raises:
        KitError: no questions, or a file that cannot be read.
    """
    questions, passages = read_questions(inputs)
    options = WindowOptions(**{key: assets[key] for key in ("max_length", "stride", "max_question_length")})
    pairs = [
        (network, question_examples(questions, passages, Tokenizer(own["tokenizer"]), options)[0])
        for network, own in members(model, assets)
    ]
    answers = Answers(pairs, batch_size, max_answer_length, n_best)
    rows, threshold = [], assets.get("null_threshold", 0.0) if assets["has_unanswerable"] else None
    for number, (question, passage) in enumerate(zip(questions, passages, strict=True)):
        for rank, found in enumerate(answers.best(number, passage, threshold)[:n_best], 1):
            rows.append((question, *found, rank))
    return pd.DataFrame(rows, columns=["question", "answer", "probability", "start", "end", "rank"])


def show(predictions, is_terminal):
    """Returns each answer in a line, with its probability and where it stands."""
    lines = []
    for row in predictions.itertuples():
        answer = f"{row.answer}  ({row.probability:.0%}, characters {row.start} to {row.end})"
        answer = f"no answer  ({row.probability:.0%})" if row.start < 0 else " ".join(answer.split())
        lines.append(f"{row.question}  {answer}" if row.rank == 1 else f"{' ' * len(row.question)}  {answer}")
    return "\n".join(lines)


def task():
    """Returns the `Task` of extractive question answering, of examples that `question_examples` makes."""
    return Task(
        monitors={"val_f1": "max", "val_exact_match": "max", "val_loss": "min"},
        shares=("val_f1", "val_exact_match"),
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        calibrate=calibrate,
        show=show,
        inputs="text",
        parts=lambda assets: ("question", "passage"),
        usage='--text "..." --passage FILE',
        served={"n_best": 20},
        pooled=pooled,
        ensemble=("tokenizer", "max_length", "stride", "max_question_length", "has_unanswerable"),
        baseline=baseline,
    )
