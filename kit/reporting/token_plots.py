"""Plots of texts: which token looks at which, what words add to an answer, and texts in colours."""

import difflib
import math

import numpy as np

from kit.reporting.plots import GREY, ORANGE, new_figure, plain

# Inches: most that a figure is wide, so that its letters keep their size on a page, and most that heads are high.
_WIDEST, _HIGHEST = 10.5, 24


def attention(weights, seen, looking=None):
    """Draws which word looks at which, one panel a head, in letters that can be read where the figure is shown whole.

    Where there is no room for every head, their mean is drawn.

    Args:
        weights: Attention weights, (heads, time, source): who looks, at whom.
        seen: Text of each position that is looked at; the first 40 are shown.
        looking: Text of each position that looks, where it is not the same.
    """
    weights, seen, looking = weights[:, :40, :40], seen[:40], (looking or seen)[:40]
    seen, looking = ([_clipped(text) for text in texts] for texts in (seen, looking))
    beside, below = (0.3 + 0.09 * max(map(len, texts), default=0) for texts in (looking, seen))
    width, height = 0.2 * len(seen) + 0.25, 0.2 * len(looking) + 0.35
    columns = max(1, min(len(weights), int((_WIDEST - beside) / width)))
    titles = [f"head {head}" for head in range(1, len(weights) + 1)]
    if math.ceil(len(weights) / columns) * height > _HIGHEST:
        titles, weights, columns = [f"mean of {len(weights)} heads"], weights.mean(0, keepdims=True), 1
    rows = math.ceil(len(weights) / columns)
    figure = new_figure(figsize=(beside + width * columns, below + height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for index, axis in enumerate(axes.ravel()):
        if index >= len(weights):
            axis.axis("off")
            continue
        axis.imshow(weights[index], cmap="Blues", vmin=0)
        axis.set_title(titles[index], loc="left", fontsize=10)
        is_lowest, is_first = index + columns >= len(weights), index % columns == 0
        axis.set_xticks(range(len(seen)), seen if is_lowest else [""] * len(seen), rotation=90, parse_math=False)
        axis.set_yticks(range(len(looking)), looking if is_first else [""] * len(looking), parse_math=False)
        plain(axis)
    return figure


MOST_TOKENS = 40  # of a text in a picture of all heads
# Inches that such a picture is wide at most; a page makes it a quarter smaller.
_WIDEST_OF_ALL = 14.5


def attention_heads(weights, tokens, captions):
    """Draws which token of a text looks at which, a panel a head, none left out.

    Args:
        weights: Attention weights, (heads, time, time): who looks, at whom.
        tokens: Text of each token; the first 40 are shown.
        captions: Of each head what is said of it beside its number, a list of texts.
    """
    heads, tokens = len(weights), [_clipped(token, 14) for token in tokens[:MOST_TOKENS]]
    cell, points = (0.2, 9) if len(tokens) <= 16 else (0.135, 7.5)
    side = max(cell * len(tokens), 1.2)
    letters = 0.12 + points * 0.0092 * max(map(len, tokens))  # inches of the longest token
    separator = ", " if side > 3.4 else "\n"
    titles = [separator.join([f"head {head}", *own]) for head, own in enumerate(captions, 1)]
    above, gap = 0.12 + 0.145 * (titles[0].count("\n") + 1), 0.15
    most = max(1, int((_WIDEST_OF_ALL - letters) / (side + gap)))
    rows = math.ceil(heads / most)
    columns = math.ceil(heads / rows)
    width, height = letters + columns * (side + gap), rows * (above + side + letters)
    figure = new_figure(figsize=(width, height))
    for index, own in enumerate(weights):
        left = letters + index % columns * (side + gap)
        bottom = height - (index // columns + 1) * (above + side + letters) + letters
        axis = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axis.imshow(own[:MOST_TOKENS, :MOST_TOKENS], cmap="Blues", vmin=0, aspect="auto")
        axis.set_title(titles[index], loc="left", fontsize=9, pad=3)
        axis.set_xticks(range(len(tokens)), tokens, rotation=90, parse_math=False)
        axis.set_yticks(range(len(tokens)), tokens, parse_math=False) if index % columns == 0 else axis.set_yticks([])
        plain(axis)
        axis.tick_params(labelsize=points, pad=2)
    return figure


def of_heads(panels):
    """Draws numbers of every attention head: a row a layer, a column a head.

    Args:
        panels: Title of each panel to its numbers, (layers, heads), and how they are written, such as ".1f".
    """
    layers, heads = next(iter(panels.values()))[0].shape
    width, height = 0.45 * heads + 0.9, 0.32 * layers + 0.85
    columns = max(1, min(len(panels), int(_WIDEST / max(width, 2.6))))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(figsize=(max(width, 2.6) * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(panels) :]:
        axis.axis("off")
    for axis, (title, (values, form)) in zip(axes, panels.items(), strict=False):
        most = max(values.max(), 1e-9)
        axis.imshow(values, cmap="Blues", vmin=0, vmax=most, aspect="auto")
        for layer, head in np.ndindex(layers, heads):
            colour = "white" if values[layer, head] > 0.6 * most else "black"
            text = format(values[layer, head], form)
            axis.text(head, layer, text, ha="center", va="center", fontsize=8, color=colour)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xticks(range(heads), range(1, heads + 1))
        axis.set_yticks(range(layers), range(1, layers + 1))
        axis.set_xlabel("head", fontsize=9)
        axis.set_ylabel("layer", fontsize=9)
        plain(axis)
    return figure


def _clipped(text, most=18):
    """Returns a text of a few characters, its end left out where it has more."""
    return text if len(text) <= most else text[: most - 1] + "…"


def contributions(values, words, answers):
    """Draws how much each word of a text adds to each of several answers.

    Args:
        values: (answers, words): positive speaks for the answer, negative against it.
        words: Text of each word.
        answers: Text of each answer.
    """
    words, answers = ([_clipped(text, 24) for text in texts] for texts in (words, answers))
    values = np.asarray(values)
    beside, below = (0.4 + 0.09 * max(map(len, texts), default=0) for texts in (answers, words))
    size = (beside + 0.32 * len(words) + 1.1, below + 0.24 * len(answers) + 0.5)
    figure = new_figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    most = np.abs(values).max() or 1.0
    drawn = axis.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    axis.set_xticks(range(len(words)), words, rotation=90, parse_math=False)
    axis.set_yticks(range(len(answers)), answers, parse_math=False)
    axis.set_title("adds to the log-probability of", loc="left", fontsize=10)
    plain(axis)
    bar = figure.colorbar(drawn, ax=axis, fraction=0.03, pad=0.02)
    bar.ax.tick_params(labelsize=9)
    return figure


# Of `coloured`: inches of a letter of equal width and of a line, letters in a line, size of the letters in points.
_LETTER, _LINE, _LINE_LETTERS, _POINTS = 0.0925, 0.42, 96, 11


def coloured(texts):
    """Draws texts whose words are red where they speak for an answer and blue where they speak against it.

    The strongest word of a text has the strongest colour; under each word stands its number.

    Args:
        texts: Of each text a caption, and its parts (a pair has two), each a list of pairs of word and number.
    """
    from matplotlib import colormaps

    lines = []  # caption, or words with the letter that each begins at
    for caption, parts in texts:
        lines.append(caption)
        most = max((abs(value) for part in parts for _, value in part), default=0.0) or 1.0
        for part in parts:
            lines += _in_lines([(_clipped(word, _LINE_LETTERS - 2), value, value / most) for word, value in part])
    width = max([40, *(len(line) if isinstance(line, str) else line[-1][0] + len(line[-1][1]) for line in lines)])
    figure = new_figure(figsize=(0.3 + _LETTER * width, 0.2 + _LINE * len(lines)))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_xlim(-0.15 / _LETTER, width + 0.15 / _LETTER)
    axis.set_ylim(len(lines) + 0.1 / _LINE, -0.1 / _LINE)
    axis.axis("off")
    shades = colormaps["RdBu_r"]
    for row, line in enumerate(lines):
        if isinstance(line, str):
            axis.text(0, row + 0.62, _clipped(line, width), fontsize=10, weight="bold", va="center", parse_math=False)
            continue
        for start, word, value, strength in line:
            shade = shades(0.5 + 0.4 * strength)
            box = {"facecolor": shade, "edgecolor": "none", "boxstyle": "square,pad=0.12"}
            ink = "white" if abs(strength) > 0.75 else "black"
            style = {"family": "monospace", "parse_math": False, "va": "center"}
            axis.text(start, row + 0.38, word, fontsize=_POINTS, color=ink, bbox=box, **style)
            axis.text(start, row + 0.84, f"{value:+.2f}", fontsize=6.5, color=GREY, **style)
    return figure


def _in_lines(words, least=4):
    """Returns words in lines, each (first letter, word, value, strength); a word has room for so many letters."""
    lines, place = [[]], 0
    for word, value, strength in words:
        room = max(len(word), least) + 1
        if place + room > _LINE_LETTERS and lines[-1]:
            lines.append([])
            place = 0
        lines[-1].append((place, word, value, strength))
        place += room
    return [line for line in lines if line]


def changed_texts(pairs):
    """Draws texts before and after a change, words that are new or elsewhere in orange.

    Args:
        pairs: Of each text what it was, and what it is.
    """
    lines, places = [], []  # of each its words with whether they are new, and whether it is what it was; where it is
    for number, (before, after) in enumerate(pairs):
        words = before.split()
        lines += [(line, True) for line in _in_lines([(_clipped(word, 90), False, 0) for word in words], 0)]
        matcher = difflib.SequenceMatcher(None, words, after.split(), autojunk=False)
        known = {place for block in matcher.get_matching_blocks() for place in range(block.b, block.b + block.size)}
        new = [(_clipped(word, 90), place not in known, 0) for place, word in enumerate(after.split())]
        lines += [(line, False) for line in _in_lines(new, 0)]
        places += [row + 0.5 * number for row in range(len(places), len(lines))]
    width = max([40, *(line[-1][0] + len(line[-1][1]) for line, _ in lines)])
    height = places[-1] + 1 if places else 1
    figure = new_figure(figsize=(0.3 + _LETTER * width, 0.2 + 0.24 * height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_xlim(-0.15 / _LETTER, width + 0.15 / _LETTER)
    axis.set_ylim(height + 0.4, -0.4)
    axis.axis("off")
    for row, (line, is_before) in zip(places, lines, strict=True):
        for start, word, is_new, _ in line:
            ink = GREY if is_before else ORANGE if is_new else "black"
            weight = "bold" if is_new else "normal"
            style = {"family": "monospace", "parse_math": False, "va": "center", "fontsize": _POINTS}
            axis.text(start, row + 0.5, word, color=ink, weight=weight, **style)
    if not lines:
        axis.text(0, 0.5, "no text was changed in the first steps", fontsize=10, va="center")
    return figure


def word_map(words, points):
    """Draws words where their vectors lie in a plane.

    Args:
        words: The words.
        points: Place of each, (words, 2).
    """
    figure = new_figure(figsize=(_WIDEST, 7), layout="constrained")
    axis = figure.subplots()
    axis.scatter(*points.T, s=8, color=ORANGE)
    for word, (x, y) in zip(words, points, strict=True):
        axis.annotate(word, (x, y), xytext=(3, 2), textcoords="offset points", fontsize=9, parse_math=False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title("the two directions in which the words differ most", loc="left", fontsize=10)
    plain(axis)
    return figure
