"""Numbers as a page shows them: shares in percent, four digits that count, times in words, large counts in millions."""

import re

from kit.terminal import number

# Scores that are shares of 1.
_SHARE = re.compile(r"(.*_)?(accuracy|f1|precision|recall|exact_match|share|read_correctly(_\w+)?)(_low|_high)?")
_WORDS = {
    "f1": "F1",
    "bleu": "BLEU",
    "chrf": "chrF",
    "psnr": "PSNR (dB)",
    "elbo": "ELBO (nats)",
    "kl": "KL divergence (nats)",
    "kid": "KID",
    "iqm": "IQM",
    "pca": "PCA",
    "frechet": "Fréchet",
    "gaussian": "Gaussian",
    "q": "Q",
}
_MILLION = 1_000_000


def is_share(name):
    """Tells whether a score of that name is a share from 0 to 1, such as an accuracy."""
    return bool(_SHARE.fullmatch(name))


def label(name):
    """Returns the name of a score as the field writes it: `macro_f1` is "macro F1"."""
    words = name.split("_")
    shown = [_WORDS.get(word, word) for word in words]
    if len(words) > 1:  # the unit is that of the score alone
        shown = [word.partition(" (")[0] for word in shown]
    return " ".join(shown)


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


def scores(metrics):
    """Yields name, value and 95 % interval of each score as text; the interval is `x_low` and `x_high`, or empty.

    What is no number, such as a signature, is left out.
    """
    for name, value in metrics.items():
        if isinstance(value, str):
            continue
        low, high = (metrics.get(f"{name}_{end}") for end in ("low", "high"))
        if low is not None:
            ends = f"{score(name, low).removesuffix(' %')} to {score(name, high)}"
            yield label(name), score(name, value), f"95 % interval {ends}"
        elif not name.endswith(("_low", "_high")):
            yield label(name), score(name, value), ""


def over_seeds(summaries):
    """Yields name, mean ± standard deviation, and interquartile mean with its 95 % interval of each score as text.

    Args:
        summaries: Name to what `kit.reporting.several.summarize` made of the score's values.
    """
    for name, summary in summaries.items():
        values = summary["folds" if "folds" in summary else "seeds"]
        if summary["std"] == 0 and isinstance(values[0], int):
            yield label(name), digits(values[0]), ""  # a count, the same in every run
            continue
        mean, std, iqm, low, high = (score(name, summary[key]) for key in ("mean", "std", "iqm", "iqm_low", "iqm_high"))
        middle = f"IQM {iqm}, 95 % interval {low.removesuffix(' %')} to {high}"
        yield label(name), f"{mean.removesuffix(' %')} ± {std}", middle


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
