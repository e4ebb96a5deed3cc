"""Pairs of phrases that mean the same in two locales: dates, times, money, quantities, places, and lists of them.

Both sides are real localisation data: Babel's copy of the Unicode Common Locale Data Repository (CLDR). The patterns
that carry a phrase (lists, "or", intervals, "in 3 days") come from there too, so that any locale can be the target.
"""

import datetime

import numpy as np

from kit.data.sources import Pairs
from kit.errors import KitError, SettingError, check, guess

NAMES = ("phrases",)

_CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "INR", "BRL", "SEK", "PLN", "MXN", "CNY", "ZAR")
_UNITS = (
    *("length-kilometer", "length-meter", "length-mile", "length-centimeter", "mass-kilogram", "mass-gram"),
    *("mass-pound", "volume-liter", "volume-milliliter", "temperature-celsius", "duration-hour", "duration-minute"),
    *("duration-day", "duration-week", "speed-kilometer-per-hour", "area-square-meter", "digital-gigabyte"),
)
# No "medium": English writes it as it writes "yMMMd", others do not, and nothing would tell which is meant.
_DATES = ("full", "long", "short", "MMMMEEEEd", "yMMMM", "MMMMd", "yMMMd")
_INTERVALS = ("yMMMd", "yMMMM", "MMMd", "yMMMEd")
# Seconds of a unit, and the most of it that is not said in a larger one.
_AGO = ((1, 45), (60, 45), (3600, 18), (86_400, 5), (604_800, 3), (2_629_800, 9), (31_557_600, 40))
# Share of the phrases of each split.
_SHARES = {"train": 0.8, "validation": 0.08, "test": 0.12}
_MOST_TRIALS = 20


def read(source, *, source_locale="en", target_locale="de", num_sentences=12_000, seed=0):
    """Returns pairs of phrases; none is in two splits, nor its source side alone.

    Args:
        source: `phrases`.
        source_locale: Locale of the source side, such as `en` or `en_GB`.
        target_locale: Locale of the target side.
        num_sentences: Number of pairs of all splits together.
        seed: Seed of all that is drawn.

    Raises:
        KitError: the locales are so poor in data that there are not enough different phrases.
        SettingError: an unknown locale, twice the same one, or a number out of range.
    """
    check(200 <= num_sentences <= 1_000_000, "num_sentences", num_sentences, "200 to 1000000")
    locales = [_locale(source_locale, "source_locale"), _locale(target_locale, "target_locale")]
    check(locales[0] != locales[1], "target_locale", target_locale, f"another locale than {source_locale}")
    random = np.random.default_rng((seed, 5))
    names = _common_names(locales)
    pairs, seen = [], set()
    for _ in range(num_sentences * _MOST_TRIALS):
        pair = _sentence(locales, names, random)
        if pair[0] not in seen:
            seen.add(pair[0])
            pairs.append(pair)
        if len(pairs) == num_sentences:
            break
    else:
        raise KitError(
            f"{source}: only {len(pairs):,} different phrases in {source_locale} and {target_locale}; expected "
            f"{num_sentences:,} (data.num_sentences)"
        )
    split = np.repeat(
        np.array(list(_SHARES), dtype=object),
        np.diff(np.round(np.cumsum([0, *_SHARES.values()]) * len(pairs))).astype(int),
    )
    return Pairs(
        sources=[first for first, _ in pairs],
        targets=[second for _, second in pairs],
        places=[f"{source}:{row + 1}" for row in range(len(pairs))],
        split=split,
    )


def _locale(name, key):
    """Returns Babel's locale of a name.

    Raises:
        SettingError: there is none; the message names the nearest.
    """
    from babel import Locale, UnknownLocaleError
    from babel.localedata import locale_identifiers

    try:
        return Locale.parse(str(name).replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        hint = guess(str(name), locale_identifiers())
        raise SettingError(key, f"expected a locale of CLDR such as 'de' or 'pt_BR', got {name!r}{hint}") from None


def _common_names(locales):
    """Returns the codes of places, languages and currencies that both locales have a name of their own for."""
    codes = {}
    for kind, known in (
        ("territories", lambda code: len(code) == 2 and code not in ("ZZ", "QO", "XA", "XB", "EZ", "UN")),
        ("languages", lambda code: len(code) == 2),
    ):
        both = [getattr(locale, kind) for locale in locales]
        codes[kind] = sorted(code for code in both[0] if known(code) and code in both[1])
    # Nauru is a place and a language, which other languages tell apart.
    places = {locales[0].territories[code] for code in codes["territories"]}
    codes["languages"] = [code for code in codes["languages"] if locales[0].languages[code] not in places]
    codes["currencies"] = [code for code in _CURRENCIES if all(code in locale.currencies for locale in locales)]
    return codes


def _pick(options, random):
    return options[random.integers(len(options))]


def _sentence(locales, names, random):
    """Returns a phrase in both locales: one piece, an alternative, or a list of pieces."""
    from babel.lists import format_list

    count = int(random.choice((1, 2, 3), p=(0.4, 0.35, 0.25)))
    pieces = [_pick(_PIECES, random)(locales, names, random) for _ in range(count)]
    if count == 1:
        return pieces[0]
    style = _pick(("standard", "or"), random)
    return tuple(
        format_list([piece[side] for piece in pieces], style=style, locale=locale)
        for side, locale in enumerate(locales)
    )


def in_words(locale, random):
    """Yields phrases of one language without end: one piece or two, each of which holds a word.

    Args:
        locale: Babel's locale.
        random: NumPy's random numbers.
    """
    both = [locale, locale]
    names = _common_names(both)
    while True:
        pieces = [_pick(_IN_WORDS, random)(both, names, random)[0] for _ in range(int(random.integers(1, 3)))]
        text = ", ".join(pieces)
        if sum(character.isalpha() for character in text) >= 6:
            yield text


def _both(locales, write):
    """Returns what a function writes for each locale."""
    return tuple(write(locale) for locale in locales)


def _day(random):
    return datetime.date(1950, 1, 1) + datetime.timedelta(days=int(random.integers(36_000)))


def _date(locales, names, random):
    from babel import dates

    day, form = _day(random), _pick(_DATES, random)
    if form in ("full", "long", "short"):
        return _both(locales, lambda locale: dates.format_date(day, form, locale=locale))
    return _both(locales, lambda locale: dates.format_skeleton(form, day, locale=locale))


def _interval(locales, names, random):
    from babel import dates

    start, form = _day(random), _pick(_INTERVALS, random)
    end = start + datetime.timedelta(days=int(random.integers(1, 500)))
    return _both(locales, lambda locale: dates.format_interval(start, end, form, locale=locale))


def _time(locales, names, random):
    from babel import dates

    moment = datetime.time(int(random.integers(24)), int(random.integers(60)), int(random.integers(60)))
    form = _pick(("short", "short", "medium"), random)
    return _both(locales, lambda locale: dates.format_time(moment, form, locale=locale))


def _weekday(locales, names, random):
    day = int(random.integers(7))
    return _both(locales, lambda locale: locale.days["stand-alone"]["wide"][day])


def _relative(locales, names, random):
    from babel import dates

    seconds, most = _pick(_AGO, random)
    away = datetime.timedelta(seconds=int(seconds * random.integers(2, most + 1) * (1 if random.integers(2) else -1)))
    return _both(locales, lambda locale: dates.format_timedelta(away, add_direction=True, locale=locale))


def _money(locales, names, random):
    from babel import numbers

    currency, amount = _pick(names["currencies"], random), round(float(10 ** random.uniform(0, 5)), 2)
    if random.integers(2):
        amount = round(amount) if random.integers(2) else amount
        return _both(
            locales, lambda locale: numbers.format_currency(amount, currency, locale=locale, format_type="name")
        )
    return _both(locales, lambda locale: numbers.format_currency(amount, currency, locale=locale))


def _quantity(locales, names, random):
    from babel import units

    value = round(float(10 ** random.uniform(0, 3)), int(random.integers(2)))
    value = int(value) if value == int(value) else value
    unit, length = _pick(_UNITS, random), _pick(("long", "long", "short"), random)
    long = _both(locales, lambda locale: units.format_unit(value, unit, length="long", locale=locale))
    if length == "long":
        return long
    short = _both(locales, lambda locale: units.format_unit(value, unit, length="short", locale=locale))
    return long if short[0] == long[0] else short  # what looks the same has one translation


def _number(locales, names, random):
    from babel import numbers

    value = int(10 ** random.uniform(0, 7))
    return _both(locales, lambda locale: numbers.format_decimal(value, locale=locale))


def _percent(locales, names, random):
    from babel import numbers

    share = int(random.integers(1, 1000)) / 1000
    return _both(
        locales, lambda locale: numbers.format_percent(share, locale=locale, format=None, decimal_quantization=False)
    )


def _named(kind):
    def draw(locales, names, random):
        code = _pick(names[kind], random)
        return _both(locales, lambda locale: getattr(locale, kind)[code])

    return draw


_PIECES = (
    *(_date, _date, _interval, _time, _weekday, _relative, _money, _quantity, _number, _percent),
    *(_named("territories"), _named("territories"), _named("languages"), _named("currencies")),
)
_IN_WORDS = (
    *(_date, _date, _interval, _weekday, _relative, _relative, _quantity, _money),
    *(_named("territories"), _named("languages"), _named("currencies")),
)
