"""Generated questions: when, where, who and how much, asked of passages of generated sentences.

Dates, times, money, places and quantities are written as in `phrases`, and divided in the same way: no place, language
or person of the test split is in training. A passage has two or more sentences of one kind, so that which of several
dates is asked for goes by what else stands in its sentence; and some questions ask for what the passage does not say.
"""

import re

import numpy as np

from kit.data.sources import phrases
from kit.data.sources.questions import Questions
from kit.errors import check

NAMES = ("phrases",)

# A sentence, and questions with the slot that answers each; slots with a number are of the kind before it.
_SENTENCES = (
    (
        "{person} flew to {place} on {date}.",
        ("When did {person} fly to {place}?", "date"),
        ("Where did {person} fly on {date}?", "place"),
        ("Who flew to {place} on {date}?", "person"),
    ),
    (
        "The meeting with {person} starts at {time} in room {number}.",
        ("When does the meeting with {person} start?", "time"),
        ("In which room is the meeting with {person}?", "number"),
    ),
    (
        "The train to {place} leaves at {time} from platform {number}.",
        ("When does the train to {place} leave?", "time"),
        ("From which platform does the train to {place} leave?", "number"),
        ("Where does the train from platform {number} go?", "place"),
    ),
    (
        "A ticket from {place} to {place2} costs {money}.",
        ("How much does a ticket from {place} to {place2} cost?", "money"),
        ("To which place does a ticket from {place} cost {money}?", "place2"),
    ),
    (
        "The museum in {place} opens at {time}; entrance is {money}.",
        ("When does the museum in {place} open?", "time"),
        ("How much is the entrance to the museum in {place}?", "money"),
        ("Where does a museum open at {time}?", "place"),
    ),
    (
        "It was {temperature} in {place} at {time}.",
        ("How warm was it in {place} at {time}?", "temperature"),
        ("Where was it {temperature}?", "place"),
    ),
    (
        "The parcel from {place} weighs {mass}.",
        ("How much does the parcel from {place} weigh?", "mass"),
        ("Where does the parcel of {mass} come from?", "place"),
    ),
    (
        "On {date} the company sold {number} bicycles for {money}.",
        ("When did the company sell {number} bicycles?", "date"),
        ("How many bicycles did the company sell on {date}?", "number"),
        ("For how much did the company sell {number} bicycles?", "money"),
    ),
    (
        "{person} lived in {place} for {number} years and learned {language}.",
        ("Where did {person} live?", "place"),
        ("How many years did {person} live in {place}?", "number"),
        ("What did {person} learn in {place}?", "language"),
        ("Who learned {language} in {place}?", "person"),
    ),
    (
        "Many people in {place} speak {language} at home.",
        ("What do many people in {place} speak at home?", "language"),
        ("Where do many people speak {language}?", "place"),
    ),
    (
        "From {date} to {date2} the road to {place} is closed.",
        ("From when on is the road to {place} closed?", "date"),
        ("Until when is the road to {place} closed?", "date2"),
    ),
    (
        "{person} owes {person2} {money} for {mass} of flour.",
        ("How much does {person} owe {person2}?", "money"),
        ("Who owes {person2} {money}?", "person"),
        ("How much flour did {person} get from {person2}?", "mass"),
    ),
    (
        "Please call {person} before {date}.",
        ("Before when should {person} be called?", "date"),
        ("Who should be called before {date}?", "person"),
    ),
    (
        "{person} walked {length} before {time}.",
        ("How far did {person} walk?", "length"),
        ("Before when did {person} walk?", "time"),
    ),
)
# fmt: off
_PERSONS = (
    "Abel", "Ada", "Alba", "Alma", "Amara", "Anders", "Anouk", "Arjun", "Astrid", "Basil", "Beata", "Bianca",
    "Boris", "Bruno", "Camille", "Cedric", "Clara", "Daiki", "Dalia", "Dario", "Edith", "Elif", "Elvira", "Enzo",
    "Erik", "Esther", "Farid", "Filip", "Frida", "Gloria", "Goran", "Greta", "Gustav", "Haruki", "Helga", "Henrik",
    "Imani", "Irina", "Ismael", "Jana", "Jelena", "Joaquin", "Judith", "Kaito", "Karim", "Katya", "Klaus", "Kwame",
    "Lars", "Leila", "Levi", "Lin", "Ludmila", "Magda", "Malik", "Marta", "Matteo", "Mikael", "Nadia", "Nils",
    "Noemi", "Odile", "Oscar", "Pablo", "Pedro", "Piotr", "Quentin", "Rafael", "Ramon", "Renata", "Rohan", "Ruth",
    "Sakura", "Samir", "Selma", "Silas", "Sofia", "Stefan", "Tamar", "Teresa", "Thandi", "Tomas", "Ulrike", "Umar",
    "Valeria", "Vera", "Viktor", "Wanda", "Willem", "Xavier", "Yara", "Yusuf", "Zainab", "Zoran",
)
# fmt: on
_MOST_QUESTIONS = 3  # of one passage
_MOST_TRIALS = 50


def read(source, *, num_questions=6000, unanswerable=0.15, seed=0):
    """Returns generated questions and passages.

    Args:
        source: `phrases`.
        num_questions: Number of questions of all splits together.
        unanswerable: Share of the questions that the passage does not answer.
        seed: Seed of all that is drawn.

    Raises:
        SettingError: a number out of range.
    """
    from babel import Locale

    check(200 <= num_questions <= 1_000_000, "num_questions", num_questions, "200 to 1000000")
    check(0 <= unanswerable <= 0.9, "unanswerable", unanswerable, "a share from 0 to 0.9")
    cldr, random = Locale("en"), np.random.default_rng((seed, 13))
    names = phrases.divided_names(cldr, random, _PERSONS)
    found, split, number = Questions(), [], 0
    for part, share in phrases.SHARES.items():
        left = max(round(share * num_questions), 1)
        while left:
            number += 1
            passage, facts, draw = _passage(cldr, names[part], random)
            for question, answers in _questions(facts, draw, unanswerable, random)[:left]:
                place = f"{source}:{len(split) + 1}"
                found.add(question, passage, answers, place, columns={"title": f"passage {number}"})
                split.append(part)
                left -= 1
    found.split = np.array(split, dtype=object)
    return found


def _passage(cldr, names, random):
    """Returns a passage, its facts, and a function that draws another value of a kind.

    A fact is its sentence's number in `_SENTENCES`, and its values: name of the slot to a pair of text and first
    character.
    """
    first, *others = random.permutation(len(_SENTENCES))
    chosen = [first, first, *others[: random.integers(1, 3)]]
    chosen += list(chosen[-1:] if random.random() < 0.5 else ())
    people = list(random.choice(names["person"], 3, replace=False)) if len(names["person"]) > 3 else names["person"]

    def draw(kind, known=()):
        for _ in range(_MOST_TRIALS):
            pool = {**names, "person": people} if not known else names
            value = phrases.value(kind, cldr, pool, random)
            if value not in known:
                return value
        return None

    facts, text = [], ""
    for kind in random.permutation(chosen):
        values = _values(kind, facts, draw)
        text += " " if text else ""
        spans = {}
        for piece in re.split(r"(\{\w+\})", _SENTENCES[kind][0]):
            name = piece.strip("{}")
            if piece.startswith("{"):
                spans[name] = (values[name], len(text))
                piece = values[name]
            text += piece
        facts.append((kind, spans))
    return text, facts, draw


def _values(kind, facts, draw):
    """Returns a value for each slot of a sentence, another than those of sentences of the kind in the passage."""
    values = {}
    for name in _slots(_SENTENCES[kind][0]):
        known = [spans[name][0] for other, spans in facts if other == kind]
        known += [value for slot, value in values.items() if _kind_of(slot) == _kind_of(name)]
        values[name] = next((value for value in (draw(_kind_of(name)) for _ in range(10)) if value not in known), None)
        values[name] = values[name] or draw(_kind_of(name), known)
    return values


def _slots(template):
    return re.findall(r"\{(\w+)\}", template)


def _kind_of(slot):
    return slot.rstrip("0123456789")


def _questions(facts, draw, unanswerable, random):
    """Returns some questions about the facts of a passage, each with its answers."""
    counts = np.bincount([kind for kind, _ in facts])
    asked = [
        (row, question, slot)
        for row, (kind, _) in enumerate(facts)
        for question, slot in _SENTENCES[kind][1:]
        if counts[kind] > 1 or random.random() < 0.5  # rather what several sentences of the passage could answer
    ]
    found = []
    for number in random.permutation(len(asked))[:_MOST_QUESTIONS]:
        row, question, slot = asked[number]
        spans = facts[row][1]
        values, answers = {name: spans[name][0] for name in _slots(question)}, [spans[slot]]
        if random.random() < unanswerable:
            name = list(values)[random.integers(len(values))]
            present = [text for _, other in facts for text, _ in other.values()]
            other = draw(_kind_of(name), present)
            values, answers = (values | {name: other}, []) if other is not None else (values, answers)
        found.append((question.format(**values), answers))
    return found
