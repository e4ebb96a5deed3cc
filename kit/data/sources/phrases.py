"""Generated sentences with dates, times, money, places, languages and quantities, as people of a locale write them.

Babel's copy of the Unicode Common Locale Data Repository (CLDR) knows how; templates put them into sentences. Places,
languages and persons (who are no entities, only look like some) are divided among the splits, and numbers are drawn
anew: the test split asks for entities that training never showed.
"""

import datetime
import re

import numpy as np

from kit.data.sources import Sentences
from kit.data.text import tokenize
from kit.errors import SettingError, check

NAMES = ("phrases",)

_TEMPLATES = {
    "en": (
        "{person} flew to {place} on {date} .",
        "{person} flew with {person} on {date} .",
        "The meeting with {person} starts at {time} in room {number} .",
        "The train to {place} leaves at {time} from platform {number} .",
        "We paid {money} for {mass} of flour .",
        "A ticket from {place} to {place} costs {money} .",
        "The offer is valid until {date} , {time} .",
        "{person} speaks {language} and a little {language} .",
        "{person} speaks quickly , and {person} too .",
        "Is there a translation from {language} into {language} ?",
        "Chapter {number} was translated into {language} for {money} .",
        "It was {temperature} in {place} at {time} !",
        "The parcel from {place} weighs {mass} .",
        "On {date} the company sold {number} bicycles for {money} .",
        "Version {number} came out in {date} .",
        "Many people in {place} speak {language} at home .",
        "{person} lived in {place} for {number} years and learned {language} .",
        "They walked {length} before {time} .",
        "May we visit {place} in May ?",
        "The museum in {place} opens at {time} ; entrance is {money} .",
        "From {date} to {date} the road to {place} is closed .",
        "Please call {person} before {date} .",
        "{number} of {number} pupils chose {language} .",
        "Her debt grew from {money} to {money} within {number} days .",
        "Add {volume} of water and wait until {time} .",
        "The Polish shop around the corner sells {number} kinds of tea .",
        "Dear {person} , thank you for the {money} you sent on {date} .",
        "Nobody in the {language} course has been to {place} .",
        "{person} and {person} met again in {date} , in {place} .",
        "Flight {number} to {place} is late .",
    ),
    "de": (
        "{person} flog am {date} nach {place} .",
        "Das Treffen mit {person} beginnt um {time} in Raum {number} .",
        "Der Zug nach {place} fährt um {time} von Gleis {number} ab .",
        "Wir haben {money} für {mass} Mehl bezahlt .",
        "Eine Fahrkarte von {place} nach {place} kostet {money} .",
        "{person} spricht {language} und ein wenig {language} .",
        "Gibt es eine Übersetzung aus dem {language} ins {language} ?",
        "In {place} waren es um {time} {temperature} .",
        "Das Paket aus {place} wiegt {mass} .",
        "Am {date} wurden {number} Fahrräder für {money} verkauft .",
        "Viele Menschen in {place} sprechen zu Hause {language} .",
        "Sie gingen vor {time} noch {length} zu Fuß .",
        "Das Museum in {place} öffnet um {time} ; der Eintritt kostet {money} .",
        "Vom {date} bis zum {date} ist die Straße nach {place} gesperrt .",
        "Bitte rufen Sie {person} vor dem {date} an .",
        "{number} von {number} Schülern wählten {language} .",
        "Ausgabe {number} erschien im {date} .",
        "Liebe {person} , danke für die {money} vom {date} .",
        "{person} und {person} trafen sich in {place} wieder .",
        "Flug {number} nach {place} ist verspätet .",
    ),
    "fr": (
        "{person} est allée à {place} le {date} .",
        "La réunion avec {person} commence à {time} , salle {number} .",
        "Le train pour {place} part à {time} de la voie {number} .",
        "Nous avons payé {money} pour {mass} de farine .",
        "Un billet de {place} à {place} coûte {money} .",
        "{person} parle {language} et un peu {language} .",
        "Existe-t-il une traduction du {language} en {language} ?",
        "Il faisait {temperature} à {place} à {time} !",
        "Le colis de {place} pèse {mass} .",
        "Le {date} , l' entreprise a vendu {number} vélos pour {money} .",
        "Beaucoup de gens à {place} parlent {language} .",
        "Ils ont marché {length} avant {time} .",
        "Le musée de {place} ouvre à {time} ; l' entrée est à {money} .",
        "Du {date} au {date} la route de {place} est fermée .",
        "Appelez {person} avant le {date} .",
        "{number} élèves sur {number} ont choisi {language} .",
        "Chère {person} , merci pour les {money} du {date} .",
        "{person} et {person} se sont revus à {place} .",
        "Le vol {number} pour {place} est en retard .",
        "Le numéro {number} a paru en {date} .",
    ),
    "es": (
        "{person} voló a {place} el {date} .",
        "La reunión con {person} empieza a las {time} en la sala {number} .",
        "El tren a {place} sale a las {time} de la vía {number} .",
        "Pagamos {money} por {mass} de harina .",
        "Un billete de {place} a {place} cuesta {money} .",
        "{person} habla {language} y un poco de {language} .",
        "¿ Hay una traducción del {language} al {language} ?",
        "¡ A las {time} hacía {temperature} en {place} !",
        "El paquete de {place} pesa {mass} .",
        "El {date} la empresa vendió {number} bicicletas por {money} .",
        "Mucha gente en {place} habla {language} en casa .",
        "Caminaron {length} antes de las {time} .",
        "El museo de {place} abre a las {time} ; la entrada cuesta {money} .",
        "Del {date} al {date} la carretera a {place} está cerrada .",
        "Llame a {person} antes del {date} .",
        "{number} de {number} alumnos eligieron {language} .",
        "Querida {person} , gracias por los {money} del {date} .",
        "{person} y {person} se encontraron de nuevo en {place} .",
        "El vuelo {number} a {place} llega tarde .",
        "El número {number} salió en {date} .",
    ),
}
_TYPES = {
    "date": "DATE",
    "time": "TIME",
    "money": "MONEY",
    "place": "PLACE",
    "language": "LANGUAGE",
    **dict.fromkeys(("length", "mass", "volume", "temperature"), "QUANTITY"),
}
# fmt: off
_PERSONS = [
    "Maria", "Anna", "Ivan", "Kofi", "Ines", "Omar", "Lena", "Yuki", "Tariq", "Nora", "Paulo", "Mei", "Jonas",
    "Aisha", "Luca", "Zoe", "Emil", "Priya", "Hugo", "Carla", "Amir", "Olga", "Felix", "Rosa", "Dmitri", "Wangari",
    "Ella", "Sven", "Fatima", "Marco", "Ida", "Chen", "Noah", "Salma", "Petra", "Diego", "Hana", "Milan", "Awa",
    "Peter", "Paris", "Florence", "Sydney", "Austin", "Chelsea", "Lorraine",
]
# fmt: on
# A language alone stands for all who write it: May 3 and 3 May.
_ALSO_WRITTEN = {"en": ("en_GB",)}
_CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "INR", "BRL", "SEK", "PLN", "MXN")
_UNITS = {
    "length": ("length-kilometer", "length-meter", "length-mile", "length-centimeter", "length-foot"),
    "mass": ("mass-kilogram", "mass-gram", "mass-pound", "mass-ounce", "mass-tonne"),
    "volume": ("volume-liter", "volume-milliliter", "volume-gallon", "volume-cup"),
    "temperature": ("temperature-celsius", "temperature-fahrenheit", "temperature-kelvin"),
}
# Share of the sentences and of the names of each split.
SHARES = {"train": 0.7, "validation": 0.12, "test": 0.18}


def read(source, column=None, *, locale="en", num_sentences=4000, seed=0):
    """Returns generated sentences with BIO tags.

    Args:
        source: `phrases`.
        column: None: there is one tag a word.
        locale: Language, or language and territory, such as `de_CH`.
        num_sentences: Number of sentences of all splits together.
        seed: Seed of all that is drawn.

    Raises:
        SettingError: an unknown locale, one without templates, or too few sentences.
    """
    from babel import Locale, UnknownLocaleError

    if column is not None:
        raise SettingError("column", f"expected none, generated sentences have one tag a word, got {column!r}")
    check(200 <= num_sentences <= 1_000_000, "num_sentences", num_sentences, "200 to 1000000")
    try:
        cldr = Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        raise SettingError("locale", f"expected a locale such as 'en' or 'de_CH', got {locale!r}") from None
    if cldr.language not in _TEMPLATES:
        raise SettingError(
            "locale", f"there are sentences in {', '.join(sorted(_TEMPLATES))} and their territories, got {locale!r}"
        )
    random = np.random.default_rng((seed, 2))
    names = divided_names(cldr, random)
    words, tags, split = [], [], []
    for part, share in SHARES.items():
        for _ in range(max(round(share * num_sentences), 1)):
            template = _pick(_TEMPLATES[cldr.language], random)
            sentence, sentence_tags = _fill(template, cldr, names[part], random)
            words.append(sentence)
            tags.append(sentence_tags)
            split.append(part)
    places = [f"{source}:{row + 1}" for row in range(len(words))]
    return Sentences(words, tags, places, np.array(split, dtype=object))


def divided_names(cldr, random, more_persons=()):
    """Returns places, languages and persons of each split; none is in two.

    Args:
        cldr: Babel's `Locale`.
        random: Generator of the draw.
        more_persons: Names of persons beside the usual ones.
    """
    places = sorted(
        {name for code, name in cldr.territories.items() if len(code) == 2 and code not in ("ZZ", "QO", "XA", "XB")}
    )
    languages = sorted({name for code, name in cldr.languages.items() if len(code) <= 3 and "(" not in name})
    parts = {part: {} for part in SHARES}
    for kind, names in (("place", places), ("language", languages), ("person", [*_PERSONS, *more_persons])):
        names = [names[index] for index in random.permutation(len(names))]
        start = 0
        for part, share in SHARES.items():
            stop = len(names) if part == "test" else start + round(share * len(names))
            parts[part][kind] = names[start:stop]
            start = stop
    return parts


def _pick(options, random):
    return options[random.integers(len(options))]


def _fill(template, cldr, names, random):
    """Returns the words and tags of a template with its slots filled."""
    words, tags = [], []
    for piece in template.split():
        slot = re.fullmatch(r"\{(\w+)\}", piece)
        if slot is None:
            tokens = tokenize(piece)[0]
            words += tokens
            tags += ["O"] * len(tokens)
            continue
        kind = slot[1]
        tokens = tokenize(value(kind, cldr, names, random))[0]
        words += tokens
        if kind in _TYPES:
            tags += [f"B-{_TYPES[kind]}"] + [f"I-{_TYPES[kind]}"] * (len(tokens) - 1)
        else:
            tags += ["O"] * len(tokens)
    return words, tags


def value(kind, cldr, names, random):
    """Returns a text of a kind, such as "date": one of those names, or drawn as people of a locale write it."""
    return _pick(names[kind], random) if kind in names else _DRAWN[kind](cldr, random)


def _date(cldr, random):
    from babel import Locale, dates

    day = datetime.date(1950, 1, 1) + datetime.timedelta(days=int(random.integers(30_000)))
    cldr = _pick([Locale.parse(name) for name in _ALSO_WRITTEN.get(str(cldr), ())] + [cldr], random)
    form = _pick(("short", "medium", "long", "full", "MMMMd", "yMMMM"), random)
    if form in ("MMMMd", "yMMMM"):
        return dates.format_skeleton(form, day, locale=cldr)
    return dates.format_date(day, form, locale=cldr)


def _time(cldr, random):
    from babel import dates

    hour, minute = int(random.integers(24)), int(random.integers(12)) * 5
    return dates.format_time(datetime.time(hour, minute), _pick(("short", "short", "medium"), random), locale=cldr)


def _money(cldr, random):
    from babel import numbers

    currency = _pick(_CURRENCIES, random)
    amount = round(float(10 ** random.uniform(0, 5)), 2)
    form = random.integers(3)
    if form == 0:
        return numbers.format_currency(round(amount), currency, locale=cldr, format_type="name")
    if form == 1:
        return numbers.format_compact_currency(amount * 1000, currency, locale=cldr)
    return numbers.format_currency(amount, currency, locale=cldr)


def _quantity(units_of_kind):
    def draw(cldr, random):
        from babel import units

        value = round(float(10 ** random.uniform(0, 3)), int(random.integers(2)))
        value = int(value) if value == int(value) else value
        unit, length = _pick(units_of_kind, random), _pick(("long", "short"), random)
        return units.format_unit(value, unit, length=length, locale=cldr)

    return draw


def _number(cldr, random):
    from babel import numbers

    return numbers.format_decimal(int(10 ** random.uniform(0, 3.5)), locale=cldr)


_DRAWN = {"date": _date, "time": _time, "money": _money, "number": _number}
_DRAWN |= {kind: _quantity(units_of_kind) for kind, units_of_kind in _UNITS.items()}
