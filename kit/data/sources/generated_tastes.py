"""Generated tastes: users and items in hidden groups; what a user likes drifts from one group to the next."""

import numpy as np
import pandas as pd

from kit.data.sources.interaction_tables import Interactions
from kit.errors import check

NAMES = ("tastes",)
_KINDS = ("adventure", "comedy", "crime", "drama", "family", "history", "music", "nature", "romance", "space")
_FIRST = ("Amber", "Blue", "Broken", "Distant", "Golden", "Hidden", "Last", "Little", "Lost", "Quiet", "Red", "Silver")
_SECOND = ("Bridge", "Door", "Forest", "Garden", "Harbour", "Island", "Letter", "Moon", "River", "Road", "Song", "Town")
_AGES = ("young", "middle", "old")


def read(source, *, num_users=600, num_items=300, seed=0):
    """Returns generated ratings, with the kinds and years of items and the ages of users.

    A user begins with one kind and wanders, now and then, to the next one of a hidden order; mostly takes an item of
    that kind which often follows the one before, by popularity, and at times any item. Ratings are higher where the
    item is of the kind.

    Args:
        source: `tastes`.
        num_users, num_items: Number of users and items.
        seed: Seed of all that is drawn.

    Raises:
        SettingError: a number out of range.
    """
    check(10 <= num_users <= 100_000, "num_users", num_users, "10 to 100000")
    check(20 <= num_items <= 1728, "num_items", num_items, "20 to 1728")
    random = np.random.default_rng((seed, 23))
    kinds = np.arange(num_items) % len(_KINDS)
    second = np.where(random.random(num_items) < 0.3, (kinds + 1) % len(_KINDS), kinds)
    popularity = random.permutation(num_items) + 8.0
    popularity = 1.0 / popularity**0.8
    order = random.permutation(len(_KINDS))  # the kind that a taste goes on to
    ages = random.integers(0, len(_AGES), num_users)
    rows = []
    for user in range(num_users):
        taste, seen, last = int(random.integers(0, 4) + 3 * ages[user]) % len(_KINDS), set(), None
        now = 1_900_000_000 + int(random.integers(0, 3_000_000))
        for _ in range(int(random.integers(12, 40))):
            if random.random() < 0.12:
                taste = int(order[taste])
            weights = popularity * np.where((kinds == taste) | (second == taste), 1.0, 0.02)
            if last is not None:  # series: the items of a kind that come next in the catalogue
                after = (np.arange(num_items) - last) // len(_KINDS)
                weights = weights * np.where((kinds == kinds[last]) & (after >= 1) & (after <= 3), 12.0, 1.0)
            weights[list(seen)] = 0.0
            if not weights.sum():
                break
            last = int(random.choice(num_items, p=weights / weights.sum()))
            seen.add(last)
            liked = taste in (kinds[last], second[last])
            rating = np.clip(np.round(random.normal(4.0 if liked else 2.6, 0.7) * 2) / 2, 0.5, 5.0)
            now += 60 + int(random.exponential(200_000))
            rows.append((f"u{user + 1}", f"i{last + 1}", rating, now))
    names = [f"{first} {other}" for first in _FIRST for other in _SECOND]
    titles = [
        f"{names[row % len(names)]}{' ' + 'I' * (row // len(names) + 1) if row >= len(names) else ''}"
        for row in range(num_items)
    ]
    item_table = pd.DataFrame(
        {
            "id": [f"i{row + 1}" for row in range(num_items)],
            "title": titles,
            "kind": [
                "|".join(dict.fromkeys((_KINDS[one], _KINDS[two]))) for one, two in zip(kinds, second, strict=True)
            ],
            "year": random.integers(1970, 2030, num_items).astype("float64"),
        }
    )
    user_table = pd.DataFrame({"id": [f"u{row + 1}" for row in range(num_users)], "age": [_AGES[age] for age in ages]})
    for table, name in ((item_table, "items"), (user_table, "users")):
        table.attrs["name"] = name
    users, items, ratings, times = (np.array(each) for each in zip(*rows, strict=True))
    places = [f"{source}:{number}" for number in range(1, len(rows) + 1)]
    return Interactions(
        users.astype(object), items.astype(object), places, ratings, times.astype("float64"), item_table, user_table
    )
