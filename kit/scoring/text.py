"""Scores of translations: BLEU and chrF of sacreBLEU, on whole texts, with bootstrap intervals and their signatures."""

import unicodedata

import numpy as np

from kit.reporting.statistics import bootstrap, share_interval


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
        values[name] = min(metric.corpus_score(found, [references]).score, 100.0)  # rounding may leave the scale
        if samples > 1:
            values[f"{name}_low"], values[f"{name}_high"] = _interval(metric, found, references, samples)
        values[f"{name}_signature"] = str(metric.get_signature())
    values["bleu_lowercased"] = min(BLEU(lowercase=True).corpus_score(found, [references]).score, 100.0)
    pairs = zip(found, references, strict=True)
    values["exact_match"] = float(np.mean([one.split() == other.split() for one, other in pairs]))
    return values


def _interval(metric, found, references, samples):
    """Returns the 95 % interval of a corpus score: percentiles over draws of sentences with replacement.

    Koehn, "Statistical Significance Tests for Machine Translation Evaluation", 2004. sacreBLEU's own goes as far above
    the mean of the draws as below it, and so leaves the scale. Where all draws are equal, as where every translation is
    its reference, the score is taken for a share of the sentences, each right or wrong as a whole: of scores from 0 to
    100 with that mean none vary more.

    Args:
        metric: BLEU or CHRF of sacreBLEU.
        found, references, samples: As for `corpus_scores`.
    """
    statistics = np.array(metric._extract_corpus_statistics(found, [references]), "float64")  # (sentences, counts)

    def scores(sums):
        return np.array([metric._compute_score_from_stats(each.astype(int).tolist()).score for each in sums])

    low, high = bootstrap(statistics, scores, samples)
    if low == high:
        ends = share_interval(round(len(found) * min(max(low, 0.0), 100.0) / 100), len(found))
        low, high = (100 * end for end in ends)
    low, high = np.clip([low, high], 0.0, 100.0)
    return float(low), float(high)


def sentence_chrf(found, references):
    """Returns chrF of each translation, 0 to 100."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    pairs = zip(found, references, strict=True)
    return np.array([metric.sentence_score(one, [other]).score for one, other in pairs])
