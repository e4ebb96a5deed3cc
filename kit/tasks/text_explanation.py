"""Explanation of answers to texts: integrated gradients over embeddings, word by word, and attention."""

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from jsonargparse.typing import PositiveInt
from keras import ops

from kit.attribution.calls import call_in, run
from kit.attribution.integrated_gradients import gradients_of, integrated_gradients
from kit.attribution.token_embeddings import TokenEmbeddings
from kit.blocks import crf
from kit.data.bitext import text_pairs
from kit.data.sequences import features_of, tagged_examples
from kit.data.text import tokenize
from kit.data.text_inputs import read_lines, read_sentences
from kit.data.word_cuts import WordCuts
from kit.errors import KitError
from kit.reporting import token_plots
from kit.reporting.explanation import Explanation

# A sum of attributions that lacks more than this share of what it should be is said to be incomplete.
INCOMPLETE = 0.05


def embedded_and_rest(model):
    """Takes a model of texts apart behind its embeddings.

    Args:
        model: Functional model with an encoder, or an encoder-decoder, inside; or with a layer "token_embedding" of its
            own, which `source` goes through.

    Returns:
        A model from its inputs to all that what is behind is given, embeddings first; and one from that to its output.
    """
    encoder = next((layer for layer in model.layers if isinstance(layer, keras.Model)), None)
    if encoder is not None:
        tensors = call_in(model, encoder).arguments.keras_tensors
        return keras.Model(model.inputs, list(tensors)), keras.Model(list(tensors), model.output)
    (embedded,) = call_in(model, model.get_layer("token_embedding"), model.input["source"]).output_tensors

    def rest(given, training=False):  # no `keras.Model`: the same layer embeds the target, and may tell the next token
        return run(model, given[1:], given=[(embedded, given[0])])

    return keras.Model(model.inputs, [embedded, *model.inputs]), rest


def word_contributions(rest, given, score, answers, before=None, *, steps=32, batch_size=32):
    """Returns how much each position's embedding adds to each of several answers, beside other embeddings.

    Args:
        rest: Model from embeddings and all else to an output, as `embedded_and_rest` returns it.
        given: What it is given for one text, embeddings (1, time, dim) first; what is behind stays as it is.
        score: Function `(outputs, position, choice)` that returns the log-probability of an answer, (batch,).
        answers: Pairs (position, choice).
        before: The other embeddings, (time, dim); None is 0.
        steps: Points at which gradients are taken.
        batch_size: Points in a call.

    Returns:
        An array (answers, time), what each answer's log-probability is more than for the other embeddings, (answers,),
        and how much of it the sums lack, as shares.
    """
    embeddings, *others = (tf.convert_to_tensor(each) for each in given)

    def answer(points, position, choice):
        size = ops.shape(points)[0]
        repeated = [tf.repeat(each, size, axis=0) for each in others]
        return score(rest([points, *repeated], training=False), position, choice)

    gradients = gradients_of(answer, tuple(embeddings.shape[1:]))
    values, differences, gaps = [], [], []
    for position, choice in answers:
        of_answer = lambda points, place=position, own=choice: gradients(points, np.int32(place), np.int32(own))  # noqa: E731
        start = np.zeros_like(embeddings[0]) if before is None else before
        found = integrated_gradients(of_answer, embeddings[0], start, steps=steps, batch_size=batch_size)
        values.append(found.values.sum(-1))
        differences.append(found.answer - found.baseline)
        gaps.append(found.gap)
    return np.array(values), np.array(differences), np.array(gaps)


def _of_features(model, score, assets, steps):
    """Returns a function `(inputs, answers)` that does `word_contributions` for a tagger of whole words."""
    to_embeddings, rest = embedded_and_rest(model)

    def contributions(inputs, answers):
        return word_contributions(rest, to_embeddings(inputs, training=False), score, answers, steps=steps)

    return contributions


def _of_pieces(model, score, assets, steps):
    """Returns a function like that of `_of_features` for a tagger of words in pieces; what these add is added up."""
    num_tags, pieces = len(assets["tag_names"]), features_of(assets)
    embeddings = TokenEmbeddings(model, lambda outputs, label: score(outputs, label // num_tags, label % num_tags))

    def contributions(inputs, answers):
        special, firsts = pieces.shown(inputs["ids"][0])[1], inputs["first_pieces"][0]
        found = [
            embeddings.attribution(inputs, place * num_tags + choice, special, steps=steps) for place, choice in answers
        ]
        values = np.array([np.add.reduceat(np.where(special, 0, of_pieces), firsts) for of_pieces, _ in found])
        return values, *(
            np.array(each) for each in zip(*((a.answer - a.baseline, a.gap) for _, a in found), strict=True)
        )

    return contributions


def strongest(values, words, count=3):
    """Returns the words that add most to an answer, and how much, as text.

    Args:
        values: What each word adds.
        words: The words.
        count: Number of words.
    """
    rows = [row for row in np.argsort(-np.asarray(values))[:count] if values[row] > 0]
    return ", ".join(f"{words[row]} {values[row]:+.2f}" for row in rows)


class Sentences:
    """Rows, figures and arrays of an `Explanation`, gathered sentence by sentence."""

    def __init__(self):
        self.rows, self.figures, self.arrays, self.gaps = [], {}, {}, []

    def add(self, heads, words, labels, contributions, drawn):
        """Adds a sentence.

        Args:
            heads: A dictionary for each answer, what its row begins with.
            words: What may add to an answer.
            labels: How each answer is labelled in the figure.
            contributions: What `word_contributions` returned.
            drawn: Other figures of the sentence by their names, a number in front.
        """
        values, differences, gaps = contributions
        number = len(self.arrays) + 1
        for head, own, difference, gap in zip(heads, values, differences, gaps, strict=True):
            numbers = {"difference": float(difference), "gap": float(gap)}
            self.rows.append({"sentence": number, **head, "because": strongest(own, words), **numbers})
        self.figures[f"{number:02}_words"] = lambda: token_plots.contributions(values, words, labels)
        self.figures |= {f"{number:02}_{name.partition('_')[2]}": draw for name, draw in drawn.items()}
        self.arrays[f"sentence_{number}"] = values
        self.gaps += list(gaps)

    def explanation(self, title, count, most, answer, beside="whose embeddings are all 0"):
        """Returns the `Explanation`.

        Args:
            title: Its title.
            count: Number of sentences that were given.
            most: Number of them that are explained.
            answer: What is explained, such as "a word's tag".
            beside: What the sentence is whose answer is compared.
        """
        notes = [
            f"Integrated gradients: how much each word adds to the log-probability of {answer}, beside a sentence "
            f"{beside}. They add up to the difference of the two."
        ]
        if self.gaps and max(self.gaps) > INCOMPLETE:
            notes.append(f"Some sums lack up to {max(self.gaps):.0%} of the difference: raise explain.steps.")
        if count > most:
            notes.append(f"The first {most} of {count} sentences; explain.most_inputs says how many.")
        return Explanation(title, pd.DataFrame(self.rows), self.figures, self.arrays, tuple(notes))


def tag_explainer(decoded, has_crf, attention_figures):
    """Returns the function `explain` of a `Task` that tags words.

    Args:
        decoded: Function `(model, examples, batch_size)` that returns labels and probabilities of each sentence.
        has_crf: Function from the model to whether it returns potentials.
        attention_figures: Function `(model, examples, assets)` that returns figures of attention for one sentence.
    """

    def explain(
        model,
        inputs,
        assets,
        *,
        tokenized: bool = False,
        steps: PositiveInt = 32,
        most_inputs: PositiveInt = 4,
        most_words: PositiveInt = 30,
    ):
        """Shows which words the tag of each word rests on.

        Args:
            model: The tagger.
            inputs: As for `predict`.
            assets: The assets of the data that the model was trained on.
            tokenized: The words of texts stand between spaces already.
            steps: Points at which gradients are taken, between embeddings of 0 and those of the words.
            most_inputs: Number of sentences that are explained; of more the first.
            most_words: Number of words of a sentence whose tags are explained; those that are no "O", or all where all
                are "O".

        Returns:
            `Explanation` with a row a word that is explained: `sentence` (from 1), `token`, `tag`, `probability`,
            `because` (the words that add most to it), `difference` (of the log-probabilities with the words and without
            any) and `gap` (what the sum of all words lacks of it, as a share).

        Raises:
            KitError: no words, or a file that cannot be read.
        """
        cut = WordCuts(**assets["word_cuts"]) if assets.get("word_cuts") else tokenize
        columns = assets.get("word_column"), assets.get("sentence_column")
        sentences = [words for words in read_sentences(inputs, tokenized, *columns, cut)[0] if words]
        if not sentences:
            raise KitError("no words to explain; expected a text with at least one")
        chosen = sentences[:most_inputs]
        sequences = tagged_examples(chosen, features_of(assets))
        predicted, shares = decoded(model, sequences, 128)
        names, is_crf = assets["tag_names"], has_crf(model)

        def score(outputs, position, choice):
            logs = ops.log(ops.maximum(crf.marginals(outputs), 1e-12)) if is_crf else ops.log_softmax(outputs)
            return ops.take(ops.take(logs, position, axis=1), choice, axis=1)

        of_tags = (_of_pieces if "tokenizer" in assets else _of_features)(model, score, assets, steps)

        explained = Sentences()
        for row, words in enumerate(chosen):
            tags = [int(label) for label in predicted[row]]
            answers = [(place, tag) for place, tag in enumerate(tags) if names[tag] != "O"] or list(enumerate(tags))
            answers = answers[:most_words]
            contributions = of_tags(sequences.arrays([row])[0], answers)
            heads = [
                {"token": words[place], "tag": names[tag], "probability": float(shares[row][place, tag])}
                for place, tag in answers
            ]
            labels = [f"{head['token']}: {head['tag']}" for head in heads]
            explained.add(heads, words, labels, contributions, attention_figures(model, sequences.take([row]), assets))
        return explained.explanation("What the tags rest on", len(sentences), most_inputs, "a word's tag")

    return explain


def translation_explainer(predict, tokenizers_of, special_tokens, attention_figures, has_attention, name, by_padding):
    """Returns the function `explain` of a `Task` that writes texts.

    Args:
        predict: Its function `predict`.
        tokenizers_of: Function from the assets to the tokenizers of source and target.
        special_tokens: Function from a tokenizer to its `kit.decoding.Tokens`.
        attention_figures: Function `(model, example, ids, assets)` that returns figures of attention.
        has_attention: Function from the model to whether it looks at the source.
        name: What is written, and its column: "translation".
        by_padding: Compare with a text of padding, in place of embeddings of 0: the root mean square of these, by which
            some networks divide, is none.
    """

    def explain(
        model,
        inputs,
        assets,
        *,
        steps: PositiveInt = 32,
        most_inputs: PositiveInt = 4,
        most_words: PositiveInt = 40,
    ):
        """Shows which tokens of a text each token of what is written for it rests on.

        Args:
            model: The model.
            inputs: As for `predict`.
            assets: The assets of the data that the model was trained on.
            steps: Points at which gradients are taken, between embeddings that say nothing and those of the source.
            most_inputs: Number of sentences that are explained; of more the first.
            most_words: Number of tokens of what is written that are explained.

        Returns:
            `Explanation` with a row a token that is written: `sentence` (from 1), `source`, the whole text that is
            written, `token`, `because` (the tokens of the source that add most to it), `difference` (of its
            log-probability with the source and without any, after the tokens before it) and `gap` (what the sum of all
            lacks of it, as a share).

        Raises:
            KitError: no text, a text too long for the model or in characters that it does not know at all, or a file
                that cannot be read.
        """
        lines = [line for line in read_lines(inputs)[0] if line.strip()]
        chosen = lines[:most_inputs]
        if not chosen:
            raise KitError("no text to explain; expected a sentence")
        written = predict(model, chosen, assets)["translation"].tolist()
        source_tokenizer, target_tokenizer = tokenizers_of(assets)
        special = special_tokens(target_tokenizer)
        to_embeddings, rest = embedded_and_rest(model)

        def score(outputs, position, choice):
            return ops.take(ops.log_softmax(ops.take(outputs, position, axis=1)), choice, axis=1)

        explained = Sentences()
        for line, text in zip(chosen, written, strict=True):
            source, target = source_tokenizer.encode([line]), target_tokenizer.encode([text])
            read = text_pairs(
                source, None, [line], start=None, end=source_tokenizer.end_id, padding=source_tokenizer.pad_id
            )
            ids = [*target[0], special.end]
            text_ids, written_ids = read.arrays([0])[0]["source"], np.array([[special.start, *ids[:-1]]], "int32")
            given, before = to_embeddings({"source": text_ids, "target": written_ids}, training=False), None
            if by_padding:
                nothing = np.where(text_ids == source_tokenizer.end_id, text_ids, source_tokenizer.pad_id)
                before = np.asarray(to_embeddings({"source": nothing, "target": written_ids}, training=False)[0])[0]
            answers = list(enumerate(map(int, ids)))[:most_words]
            contributions = word_contributions(rest, given, score, answers, before, steps=steps)
            seen = source_tokenizer.pieces(text_ids[0])
            made = target_tokenizer.pieces([choice for _, choice in answers])
            heads = [{"source": line, name: text, "token": token} for token in made]
            drawn = attention_figures(model, read, ids, assets) if has_attention(model) else {}
            explained.add(heads, seen, made, contributions, drawn)
        answer = f"each token of the {name}, after those before it"
        beside = "of nothing but padding" if by_padding else "whose embeddings are all 0"
        return explained.explanation(f"What each {name} rests on", len(lines), most_inputs, answer, beside)

    return explain
