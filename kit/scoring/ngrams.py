"""Character n-grams with Kneser-Ney smoothing: what a text costs that is told by its last characters alone."""

import numpy as np

# Characters that are told apart: codes of five of them fit into 64 bits. Rarer ones share a code.
_MOST = 4094
_UNICODE = 0x110000


def bits(training, tests, order=5):
    """Returns what characters cost in bits, told by an interpolated n-gram model with modified Kneser-Ney discounts.

    Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", 1998.

    Args:
        training: Text that the model counts.
        tests: Text that it tells.
        order: Characters of the longest n-gram.

    Returns:
        Bits of each character of `tests`, (characters,).
    """
    letters, counts = np.unique(_points(training), return_counts=True)
    letters = np.sort(letters[np.argsort(-counts, kind="stable")[:_MOST]])
    known, told = (_codes(text, letters, order) for text in (training, tests))
    base = len(letters) + 2
    probability = np.full(len(tests), 1 / (len(letters) + 1))
    for size in range(1, order + 1):
        probability = _interpolated(known, told, size, order, base, probability)
    unknown = told[order - 1 :] == 1
    return -np.log2(probability) + unknown * np.log2(_UNICODE - len(letters))


def _points(text):
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _codes(text, letters, order):
    """Returns characters as numbers: 0 in front of the text, 1 for an unknown one, and so on."""
    points = _points(text)
    places = np.minimum(np.searchsorted(letters, points), len(letters) - 1)
    codes = np.where(letters[places] == points, places + 2, 1)
    return np.concatenate([np.zeros(order - 1, "int64"), codes])


def _grams(codes, size, order, base):
    """Returns a number for the n-gram of so many characters that ends at each character of the text."""
    ends = len(codes) - order + 1
    found = np.zeros(ends, "int64")
    for back in range(size - 1, -1, -1):
        start = order - 1 - back
        found = found * base + codes[start : start + ends]
    return found


def _interpolated(known, told, size, order, base, lower):
    """Returns the probability of each character by n-grams of a size, given that by shorter ones."""
    if size == order:
        grams, counts = np.unique(_grams(known, size, order, base), return_counts=True)
    else:  # in how many ways a shorter one goes on to the left
        longer = np.unique(_grams(known, size + 1, order, base))
        grams, counts = np.unique(longer % base**size, return_counts=True)
    discounts = _discounts(counts)
    taken = discounts[np.minimum(counts, 3)]
    contexts, place = np.unique(grams // base, return_inverse=True)
    total = np.bincount(place, counts, len(contexts))
    left = np.bincount(place, taken, len(contexts)) / total
    own = _grams(told, size, order, base)
    gram, is_gram = _found(grams, own)
    context, is_context = _found(contexts, own // base)
    share = np.where(is_gram, (counts - taken)[gram], 0) / total[context]
    return np.where(is_context, share + left[context] * lower, lower)


def _discounts(counts):
    """Returns what is taken from counts of 0, 1, 2, and 3 or more."""
    ones, twos, threes, fours = (max(int((counts == number).sum()), 1) for number in (1, 2, 3, 4))
    share = ones / (ones + 2 * twos)
    found = [0, 1 - 2 * share * twos / ones, 2 - 3 * share * threes / twos, 3 - 4 * share * fours / threes]
    return np.clip(found, [0, 0.1, 0.1, 0.1], [0, 0.999, 1.999, 2.999])  # something is left on both sides, of few texts


def _found(values, wanted):
    """Returns where wanted values stand among ordered ones, and whether they do."""
    place = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return place, values[place] == wanted
