"""Numbers as a page shows them: shares in percent, four digits that count, times in words, large counts in millions."""

import re

from kit import terminal
from kit.terminal import number, with_intervals

# Scores that are shares of 1.
_SHARE = re.compile(
    r"(.*_|.*: )?(accuracy|f1|precision|recall|exact_match|share|coverage(_wanted)?|read_correctly(_\w+)?)(_low|_high)?"
)
_WORDS = {
    "f1": "F1",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "psnr": "PSNR (dB)",
    "elbo": "ELBO (nats)",
    "kl": "KL divergence (nats)",
    "kid": "KID",
    "iqm": "IQM",
    "pca": "PCA",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "mase": "MASE",
    "smape": "sMAPE (%)",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "pearson": "Pearson's r",
    "spearman": "Spearman's ρ",
    "hamming": "Hamming",
    "frechet": "Fréchet",
    "gaussian": "Gaussian",
    "q": "Q",
}
_MILLION = 1_000_000


def is_share(name):
    """Tells whether a score of that name is a share from 0 to 1, such as an accuracy."""
    return bool(_SHARE.fullmatch(name))


def label(name):
    """Returns the name of a score as the field writes it: `macro_f1` is "macro F1"; that of a task is behind it."""
    task, colon, name = name.rpartition(": ")
    words = name.split("_")
    shown = [_WORDS.get(word, word) for word in words]
    if len(words) > 1:  # the unit is that of the score alone
        shown = [word.partition(" (")[0] for word in shown]
    return f"{task}{colon}{' '.join(shown)}"


def digits(value):
    """Returns a number with four digits that count, thousands apart: 2.305, 0.00031, 1,234."""
    if not isinstance(value, float):
        return number(value)
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if 0 < abs(value) < 1e-4:
        return f"{value:.1e}"
    shown = f"{value:.{3 if abs(value) >= 1 else 4}f}" if abs(value) < 10 else f"{value:.4g}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def score(name, value):
    """Returns a score as text, shares in percent: 0.9972 of `accuracy` is "99.72 %"."""
    return f"{percent(value)} %" if is_share(name) and isinstance(value, int | float) else digits(value)


def percent(value):
    """Returns a share in percent, without the sign: two decimals, but of nothing and all."""
    return f"{100 * value:.0f}" if value in (0, 1) else f"{100 * value:.2f}"


def _interval(low, high):
    return f"95 % interval {low.removesuffix(' %')} to {high}"


def scores(metrics):
    """Yields name, value and 95 % interval of each score as a page shows them; see `kit.terminal.with_intervals`."""
    return with_intervals(metrics, label, score, _interval)


def over_seeds(summaries):
    """Yields name, spread and interquartile mean of each score as a page shows them; see `kit.terminal.over_seeds`."""
    return terminal.over_seeds(summaries, label, score, _interval)


def count(value):
    """Returns a count as it is read at once, and exactly where that is another: ("2.61 million", "2,605,568")."""
    if value < _MILLION:
        return f"{value:,}", ""
    large, name = (value / 1e9, "billion") if value >= 1e9 else (value / 1e6, "million")
    return f"{large:.3g} {name}", f"{value:,}"


def seconds(value):
    """Returns a duration in words: "0.8 s", "42 s", "3 min 5 s", "2 h 10 min"."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
