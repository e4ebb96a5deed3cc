"""Scores of translations: BLEU and chrF of sacreBLEU, on whole texts, with bootstrap intervals and their signatures."""

import unicodedata

import numpy as np


def corpus_scores(found, references, samples=0):
    """Scores translations against their references.

    BLEU: Papineni et al., 2002; chrF: Popović, 2015; the signature that makes a score repeatable: Post, "A Call for
    Clarity in Reporting BLEU Scores", 2018.

    Args:
        found: Translations, plain texts.
        references: Their references.
        samples: Draws of sentences with replacement behind each 95 % interval; below 2 there is none.

    Returns:
        Name to value: `bleu`, `chrf`, each with `_low` and `_high`, `_signature`; `bleu_lowercased`, of lower-case
        text, as older papers give it; and `exact_match`, the share of the translations that are their reference,
        kinds and numbers of spaces aside.
    """
    from sacrebleu.metrics import BLEU, CHRF

    # One way of writing a letter with its marks; the other would be another letter to BLEU.
    found, references = ([unicodedata.normalize("NFC", text) for text in side] for side in (found, references))
    values = {}
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF())):
        values[name] = metric.corpus_score(found, [references]).score
        signature = str(metric.get_signature())
        if samples > 1:
            score = metric.corpus_score(found, [references], n_bootstrap=samples)
            values[f"{name}_low"], values[f"{name}_high"] = (float(score._mean + side * score._ci) for side in (-1, 1))
        values[f"{name}_signature"] = signature
    values["bleu_lowercased"] = BLEU(lowercase=True).corpus_score(found, [references]).score
    pairs = zip(found, references, strict=True)
    values["exact_match"] = float(np.mean([one.split() == other.split() for one, other in pairs]))
    return values


def sentence_chrf(found, references):
    """Returns chrF of each translation, 0 to 100."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    pairs = zip(found, references, strict=True)
    return np.array([metric.sentence_score(one, [other]).score for one, other in pairs])
