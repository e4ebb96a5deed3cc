"""Where words begin and end in a text, learned from texts whose words are known.

Text is cut at white space, and each piece of it again where rules say so. A rule says what happens in a context, such
as the letters around a place; the most special one that there is for a place decides. Rules are kept only where they
mend what more general ones get wrong, so that few are left.
"""

import functools
import itertools
import re
import unicodedata

# What is looked at of the two sides of a place, from general to special: how many characters, and whether as letters or
# as kinds (letter, capital, digit, sign). A start or an end is that of the piece, with one kind on its other side.
_CONTEXTS = (
    *(("kinds", 1), ("letters", 1), ("kinds", 2), ("kinds", 4), ("kinds", 8), ("letters", 2), ("letters", 4)),
    *(("start", 6), ("end", 6), ("piece", 32)),
)
# A rule has to mend so many places, or one that occurs so often; of a whole piece one.
_MIN_GAIN = 2


class WordCuts:
    """Cuts texts into words by rules.

    Args:
        cuts: For each context of `_CONTEXTS`, what stands around a place to whether a word ends there.
        expansions: Tokens that stand for other words, such as `du` for `de le`: for a token, for it and the one before,
            and for it and the one after, all in lower case, the words or None.
    """

    def __init__(self, cuts, expansions):
        self.cuts = cuts
        self.expansions = expansions
        self._cut_of = functools.lru_cache(100_000)(self._cut)

    @classmethod
    def learn(cls, words, texts):
        """Learns from texts whose words are known.

        Args:
            words: Words of each sentence.
            texts: Of each sentence (text, places), or None: places are the (start, end) of each word in the text, those
                of a token that stands for several words being the same.
        """
        known = [(each, *text) for each, text in zip(words, texts, strict=True) if text is not None]
        return cls(_learn_cuts(known), _learn_expansions(known))

    def __call__(self, text):
        """Returns the words of a text, and (start, end) of each in it; words that a token stands for share its own."""
        spans = []
        for start, piece, is_last in _pieces(text):
            ends = [0, *self._cut_of(piece, is_last), len(piece)]
            spans += [(start + one, start + other) for one, other in itertools.pairwise(ends)]
        tokens = [text[start:end] for start, end in spans]
        if not self.expansions or not any(self.expansions):
            return tokens, spans
        words, places = [], []
        for number, (token, span) in enumerate(zip(tokens, spans, strict=True)):
            rules = zip(self.expansions, _around(tokens, number), strict=True)
            found = [known[context] for known, context in rules if context in known]
            stands_for = _cased(found[-1], token) if found and found[-1] else [token]
            words += stands_for
            places += [span] * len(stands_for)
        return words, places

    def _cut(self, piece, is_last):
        """Returns where words end inside a piece."""
        views = _views(piece, is_last)
        columns = [_contexts(*views, context) for context in _CONTEXTS]
        found = []
        for place in range(1, len(piece)):
            for rules, contexts in zip(reversed(self.cuts), reversed(columns), strict=True):
                ends = rules.get(contexts[place - 1])
                if ends is not None:
                    if ends:
                        found.append(place)
                    break
        return found

    def to_json(self):
        return {"cuts": self.cuts, "expansions": self.expansions}


def _pieces(text):
    """Yields start, text, and whether it is the last, of what stands between white space."""
    found = list(re.finditer(r"\S+", text))
    for match in found:
        yield match.start(), match.group(), match is found[-1]


def _learn_cuts(known):
    """Returns the rules of words' ends."""
    counts = {}
    for _, text, places in known:
        ends = {end for _, end in places}
        for start, piece, is_last in _pieces(text):
            inside = tuple(place for place in range(1, len(piece)) if start + place in ends)
            key = piece, is_last, inside
            counts[key] = counts.get(key, 0) + 1
    views = [_views(piece, is_last) for piece, is_last, _ in counts]
    wanted = [place in inside for piece, _, inside in counts for place in range(1, len(piece))]
    times = [count for (piece, *_), count in counts.items() for _ in piece[1:]]
    columns = ([each for view in views for each in _contexts(*view, context)] for context in _CONTEXTS)
    gains = [_MIN_GAIN] * (len(_CONTEXTS) - 1) + [1]
    return _rules(wanted, times, columns, gains, default=False)


def _learn_expansions(known):
    """Returns the rules of tokens that stand for other words."""
    stand_for_others = {
        text[slice(*one)].lower()
        for _, text, places in known
        for one, other in itertools.pairwise(places)
        if one == other
    }
    sentences = []
    for words, text, places in known if stand_for_others else ():
        tokens = []
        for word, (start, end) in zip(words, places, strict=True):
            if tokens and tokens[-1][1] == (start, end):
                tokens[-1][2].append(word)
            else:
                tokens.append((text[start:end], (start, end), [word]))
        sentences.append(tokens)
    wanted, around = [], []
    for tokens in sentences:
        written = [token for token, *_ in tokens]
        for number, (token, _, words) in enumerate(tokens):
            if token.lower() in stand_for_others:
                wanted.append(_uncased(words, token) if len(words) > 1 else None)
                around.append(_around(written, number))
    columns = ([each[level] for each in around] for level in range(3))
    return _rules(wanted, [1] * len(wanted), columns, [1, _MIN_GAIN, _MIN_GAIN], default=None)


def _around(tokens, number):
    """Returns a token, it with the one before, and it with the one after, in lower case."""
    before = tokens[number - 1] if number else ""
    after = tokens[number + 1] if number + 1 < len(tokens) else ""
    token = tokens[number].lower()
    return token, f"{before.lower()} {token}", f"{token} {after.lower()}"


def _uncased(words, token):
    return tuple(words) if token.islower() else tuple(word.lower() for word in words)


def _cased(words, token):
    """Returns the words that a token stands for, with capitals as it has them: Du → De le."""
    if len(token) > 1 and token.isupper():
        return [word.upper() for word in words]
    return [words[0].capitalize() if token[0].isupper() else words[0], *words[1:]]


def _rules(wanted, times, columns, gains, default):
    """Returns rules for each column of contexts, from general to special.

    A rule is kept where it brings enough more right than the rules before it; so only contexts in which something is
    still wrong need to be counted.

    Args:
        wanted: What is right at each place.
        times: How often each place occurs.
        columns: Iterator of the contexts of each place, None where it has none; one after the other is held in memory.
        gains: What a rule of each column must bring.
        default: What holds without a rule.
    """
    decided = [default] * len(wanted)
    found = []
    for contexts, gain in zip(columns, gains, strict=True):
        places = list(zip(contexts, wanted, decided, times, strict=True))
        votes = {context: {} for context, right, now, _ in places if right != now}
        votes.pop(None, None)
        before = dict.fromkeys(votes, 0)
        for context, right, now, count in places:
            if context in votes:
                votes[context][right] = votes[context].get(right, 0) + count
                before[context] += count if right == now else 0
        rules = {}
        for context, each in votes.items():
            best = max(each, key=each.get)
            if each[best] - before[context] >= gain:
                rules[context] = best
        decided = [rules.get(context, now) for context, _, now, _ in places]
        found.append(rules)
    return found


@functools.cache
def _kind(character):
    if character.isalpha() or unicodedata.category(character)[0] == "M":
        return "A" if character.isupper() else "a"
    return "0" if character.isdigit() else character


def _views(piece, is_last):
    """Returns a piece as it is, in lower case and as kinds of characters, each with what stands around it."""
    lower = piece.lower()
    if len(lower) != len(piece):  # a few letters have none of the same length
        lower = "".join(each.lower() if len(each.lower()) == 1 else each for each in piece)
    end = "\n" if is_last else " "
    return tuple(f" {each}{end}" for each in (piece, lower, "".join(map(_kind, piece))))


def _contexts(piece, lower, kinds, context):
    """Returns the context of each place inside a piece."""
    name, size = context
    places = range(2, len(piece) - 1)
    if name in ("letters", "kinds"):
        view = lower if name == "letters" else kinds
        return [f"{view[max(0, place - size) : place]}\t{view[place : place + size]}" for place in places]
    if name == "start":
        return [f"{lower[:place]}\t{kinds[place]}" if place <= size + 1 else None for place in places]
    if name == "end":
        last = len(piece) - size - 1
        return [f"{kinds[place - 1]}\t{lower[place:]}" if place >= last else None for place in places]
    return [f"{piece[:place]}\t{piece[place:]}" if len(piece) <= size + 2 else None for place in places]
