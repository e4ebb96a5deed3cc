"""Generation of sequences: texts that a model writes token by token; BLEU, chrF, attention, decoding, predictions."""

import dataclasses
import functools
import logging
from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt
from keras import ops

from kit import decoding
from kit.data.batching import of_one_length
from kit.data.bitext import text_pairs, too_long
from kit.data.text_inputs import read_lines
from kit.data.tokens import Tokenizer
from kit.errors import KitError, check
from kit.files import as_path, atomic
from kit.reporting import plots, token_plots
from kit.reporting.statistics import Bootstrap
from kit.scoring import text as scores
from kit.tasks import written_texts
from kit.tasks.recipe import Evaluation, Task
from kit.tasks.text_explanation import translation_explainer

log = logging.getLogger("kit")

# Tokens and padding of the texts that are written together, those of each beam counted; bounds the memory.
_MOST_POSITIONS = 32_768


@dataclasses.dataclass(frozen=True)
class Beam:
    """Beam search.

    Args:
        beam_width: Number of beginnings of each sentence that a beam keeps; 1 is greedy.
        length_penalty: 0 prefers short translations, 1 is about the mean log-probability of a token.
    """

    beam_width: PositiveInt = 5
    length_penalty: float = 1.0

    def settings(self, model, **more):
        """Returns the settings of `kit.decoding.beam` for a model.

        Raises:
            SettingError: the beam is wider than there are tokens.
        """
        size = model.output.shape[-1]
        check(self.beam_width <= size, "beam_width", self.beam_width, f"at most {size:,}, the number of tokens")
        return {"beam_width": self.beam_width, "length_penalty": float(self.length_penalty), **more}


def tokenizers_of(assets):
    """Returns the tokenizers of source and target."""
    both = [Tokenizer(content) for content in assets.get("tokenizers") or [assets["tokenizer"]]]
    return both[0], both[-1]


def special_tokens(tokenizer):
    """Returns the `kit.decoding.Tokens` of a tokenizer."""
    return decoding.Tokens(
        start=tokenizer.start_id,
        end=tokenizer.end_id,
        pad=tokenizer.pad_id,
        forbidden=(tokenizer.pad_id, tokenizer.unknown_id, tokenizer.start_id),
    )


def _cut(ids, special):
    """Returns ids up to the end, the end included."""
    ids = [int(each) for each in ids if each != special.pad]
    return ids[: ids.index(special.end) + 1] if special.end in ids else ids


def task(
    decoding_step,
    max_positions,
    has_attention=lambda model: True,
    validated=("bleu", "chrf"),
    name="translation",
    by_padding=False,
):
    """Returns the `Task` of generation, of examples that `text_pairs` makes; its assets hold `tokenizers`.

    What is written has at most twice the tokens of what is read, and ten more; or as many as `longest_target` of the
    assets, if that is there and more.

    Args:
        decoding_step: Function `(model, pad_id)` that returns the pair (step, initial_state) for `kit.decoding`; the
            step has a function `with_weights` that returns the weights over the source, too.
        max_positions: Function from the model to the most tokens that it can take, or None for any number.
        has_attention: Function from the model to whether it looks at the source.
        validated: Names of the scores of greedy translations of the validation split.
        name: What is written, as explanations call it.
        by_padding: As for `kit.tasks.text_explanation.translation_explainer`.
    """

    def decoder(model, special, method, settings, max_tokens, longest_target):
        """Returns a compiled function from source ids to what is written, made once for each model and settings."""
        positions = max_positions(model)

        def max_length(source):
            longest = max_tokens or ops.maximum(2 * ops.shape(source)[1] + 10, longest_target)
            return longest if positions is None else ops.minimum(longest, positions)

        def made():
            return decoding.compiled(
                decoding_step(model, special.pad),
                method,
                special,
                max_length=max_length,
                signature=keras.KerasTensor((None, None), "int32"),
                model=model,
                **settings,
            )

        key = (method, special, max_tokens, longest_target, *sorted(settings.items()))
        return decoding.made_once(model, key, made)

    def written(model, examples, assets, batch_size, method, settings=None, seeds=None, apart=False, max_tokens=0):
        """Returns ids of what is written, (results, time) of each text, and their scores, (results,) of each.

        Args:
            model: The model.
            examples: `Examples` of what is read.
            assets: The assets of the data.
            batch_size: Texts that are written together.
            method: A method of `kit.decoding`.
            settings: Settings of the method, or None.
            seeds: Generator of a seed for each batch, for sampling; or None.
            apart: Write together only texts of about one length, so that how long a translation may become does not
                depend on the others.
            max_tokens: Most tokens of what is written; 0 is as `task` says.
        """
        settings, special = settings or {}, special_tokens(tokenizers_of(assets)[1])
        if problem := too_long(examples, max_positions(model)):
            raise KitError(problem)
        decode = decoder(model, special, method, settings, max_tokens, assets.get("longest_target", 0))
        ids, values = [None] * len(examples), [None] * len(examples)
        chunks = examples.chunks(batch_size, _MOST_POSITIONS // settings.get("beam_width", 1))
        batches = ((rows, examples.arrays(rows)[0]["source"]) for rows in chunks)
        if apart:
            batches = of_one_length(examples, "source", chunks, special.pad, max_positions(model))
        for rows, source in batches:
            source = ops.convert_to_tensor(source)
            seed = () if seeds is None else (ops.convert_to_tensor(seeds.integers(2**31), "int32"),)
            found, scores = (np.asarray(part) for part in decode(source, *seed))
            for row, sequences, score in zip(rows, found, scores, strict=True):
                ids[row], values[row] = np.atleast_2d(sequences), np.atleast_1d(score)
        return ids, values

    def alignment(model, source, target, special):
        """Returns which source tokens each target token looked at: (heads, time, source) for each layer of attention.

        Args:
            model: The model.
            source: Ids of one text, its end included.
            target: Ids of what is written of it, the end included.
            special: `kit.decoding.Tokens`.
        """

        def made():
            step, initial_state = decoding_step(model, special.pad)
            return decoding.of_backend(step.with_weights, model), initial_state

        step, initial_state = decoding.made_once(model, ("alignment", special.pad), made)
        state = initial_state(ops.convert_to_tensor(np.array([source], "int32")), len(target))
        found = []
        for position, last in enumerate([special.start, *target[:-1]]):
            last, position = (ops.convert_to_tensor(each, "int32") for each in ([last], position))
            _, state, weights = step(last, position, state)
            found.append([np.asarray(ops.convert_to_numpy(layer)) for layer in weights])
        return [np.stack([layer[0] for layer in layers], axis=1) for layers in zip(*found, strict=True)]

    def attention_figures(model, example, ids, assets):
        """Returns a heat map for each layer of attention, on one text."""
        source_tokenizer, target_tokenizer = tokenizers_of(assets)
        special = special_tokens(target_tokenizer)
        source, ids = example.arrays([0])[0]["source"][0], _cut(ids, special)
        weights = alignment(model, source, ids, special)
        several = len(weights) > 1
        names = [f"_of_layer_{index}" if several else "" for index in range(1, len(weights) + 1)]
        return {
            f"2_attention{name}": lambda layer=layer: token_plots.attention(
                layer, source_tokenizer.pieces(source), target_tokenizer.pieces(ids)
            )
            for name, layer in zip(names, weights, strict=True)
        }

    def validate(model, examples, assets):
        """Returns BLEU and chrF, or whatever is `validated`, of the greedy translations."""
        target = tokenizers_of(assets)[1]
        ids, _ = written(model, examples, assets, 256, decoding.greedy)
        values = scores.corpus_scores(target.decode([each[0] for each in ids]), examples.extra("target"))
        return {name: values[name] for name in validated}

    def evaluate(
        model,
        examples,
        assets,
        *,
        beam: Beam = Beam(),
        bootstrap: Bootstrap = Bootstrap(),
        batch_size: PositiveInt = 64,
    ):
        """Scores a translator on a split.

        Args:
            model: The translator.
            examples: `Examples` of the split.
            assets: The assets of the data.
            batch_size: Sentences that are translated together.

        Returns:
            `Evaluation` with BLEU (cased, 13a), chrF, their signatures, BLEU of lower-case text, and the share of the
            translations that are exactly their reference.
        """
        target = tokenizers_of(assets)[1]
        ids, _ = written(model, examples, assets, batch_size, decoding.beam, beam.settings(model))
        found = target.decode([each[0] for each in ids])
        metrics = scores.corpus_scores(found, examples.extra("target"), bootstrap.bootstrap_samples)
        tables = {
            "1_translations_from_best_to_worst": written_texts.samples(examples, found),
            "2_pairs_of_sentences": pd.DataFrame(
                [{"what": name, "number": count} for name, count in assets["pairs"].items()]
            ),
        }
        row = int(np.argmin(np.abs(examples.lengths("source") - 12)))
        figures = attention_figures(model, examples.take([row]), ids[row][0], assets)
        texts = {"source": examples.extra("source"), "label": examples.extra("target"), "prediction": found}
        return Evaluation(metrics, tables, figures, lambda: pd.DataFrame(texts))

    def read(model, inputs, assets):
        """Returns the lines of what a user gave, the rows of those with text, and their ids, checked for the model."""
        lines, places = read_lines(inputs)
        if not (rows := [row for row, line in enumerate(lines) if line.strip()]):
            raise KitError("no text to translate; expected a sentence")
        tokenizer = tokenizers_of(assets)[0]
        ids = tokenizer.encode([lines[row] for row in rows])
        _check_inputs(max_positions(model), tokenizer, ids, [places[row] for row in rows])
        return lines, rows, ids

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
        """Translates texts.

        Args:
            model: The translator.
            inputs: A text, a file (`pathlib.Path`), or a list of these, with a sentence in each line. Of an empty line
                the translation is empty.
            assets: The assets of the data that the model was trained on.
            method: "beam" searches for the most probable translation, "greedy" takes the most probable token each time,
                "sample" draws.
            n_best: Number of translations of each sentence, the best first; of a beam, or drawn.
            max_tokens: Most tokens of a translation; 0 is twice those of the sentence, and ten more.
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
            KitError: no text, a text too long for the model or in characters that it does not know at all, or a file
                that cannot be read.
        """
        lines, rows, ids = read(model, inputs, assets)
        check(method in ("beam", "greedy", "sample"), "method", method, "'beam', 'greedy' or 'sample'")
        check(0 <= max_tokens <= 10_000, "max_tokens", max_tokens, "0 to 10000")
        check(0 <= seed < 2**31, "seed", seed, "a whole number from 0 to 2147483647")
        check(method != "greedy" or n_best == 1, "n_best", n_best, "1 with greedy decoding")
        is_narrow = method != "beam" or n_best <= beam.beam_width
        check(is_narrow, "n_best", n_best, f"at most {beam.beam_width}, the beam's width")
        path = None
        if attention is not None:
            path = as_path(attention, "attention")
            is_known = path.suffix == ".png" and path.parent.is_dir()
            check(is_known, "attention", attention, "a .png file in a known folder")
            check(has_attention(model), "attention", attention, "none: this architecture has no attention")
        source_tokenizer, target_tokenizer = tokenizers_of(assets)
        texts, end, padding = [lines[row] for row in rows], source_tokenizer.end_id, source_tokenizer.pad_id
        examples = text_pairs(ids, None, texts, start=None, end=end, padding=padding)
        write = functools.partial(written, model, examples, assets, batch_size, apart=True, max_tokens=max_tokens)
        if method == "beam":
            settings = beam.settings(model, num_results=n_best)
            found, values = write(method=decoding.beam, settings=settings)
        elif method == "greedy":
            found, values = write(method=decoding.greedy)
        else:
            settings = {"temperature": float(temperature), "top_k": top_k, "top_p": float(top_p)}
            random = np.random.default_rng(seed)
            draws = [write(method=decoding.sample, settings=settings, seeds=random) for _ in range(n_best)]
            found, values = written_texts.best_first(draws, len(examples))
        _warn_of_no_end(found, target_tokenizer.end_id, rows, max_positions(model))
        if path is not None:
            figures = attention_figures(model, examples.take([0]), found[0][0], assets)
            with atomic(path) as temporary:
                plots.save(list(figures.values())[-1](), temporary)
        return written_texts.table(lines, rows, [target_tokenizer.decode(each) for each in found], values)

    def pooled(predictions, assets, settings):
        """Scores the translations of all folds together."""
        texts = (predictions[name].tolist() for name in ("prediction", "label"))
        return Evaluation(scores.corpus_scores(*texts, settings["bootstrap_samples"]))

    return Task(
        monitors={"val_bleu": "max", "val_chrf": "max", "val_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        show=written_texts.show,
        explain=translation_explainer(
            predict, tokenizers_of, special_tokens, attention_figures, has_attention, name, by_padding
        ),
        inputs="text",
        pooled=pooled,
        by_chance={"method": "sample"},
        check=read,
    )


def _warn_of_no_end(found, end, rows, positions):
    """Says in the log where the best text for a sentence comes to no end."""
    endless = [(row, len(ids[0])) for row, ids in zip(rows, found, strict=True) if end not in ids[0]]
    if endless:
        row, length = endless[0]
        more = f"; max_tokens={2 * length} lets more be written" if positions is None or length < positions else ""
        log.warning("sentence %d: no end within %d tokens%s (%d such)", row + 1, length, more, len(endless))


def _check_inputs(positions, tokenizer, ids, places):
    """Raises KitError for a sentence that the model cannot read, and where none has a character that it knows."""
    strange = []
    for each, place in zip(ids, places, strict=True):
        if positions is not None and len(each) + 1 > positions:
            raise KitError(
                f"{place}: {len(each)} tokens; expected at most {positions - 1}, which the model has positions for"
            )
        if all(token == tokenizer.unknown_id or tokenizer.is_space(token) for token in each):
            strange.append(place)
    if len(strange) == len(places):
        raise KitError(f"{strange[0]}: no character of it was in the training sentences; expected the source language")
    if strange:
        log.warning("%s: no character of it was in the training sentences (%d such lines)", strange[0], len(strange))
