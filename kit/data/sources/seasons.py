"""Generated time series: a trend, a season of a week and one of a year, and noise; daily, each with its own numbers."""

import numpy as np
import pandas as pd

from kit.data.sources.tables import Table
from kit.errors import check

NAMES = ("seasons",)


def read(source, *, num_series=4, num_steps=730, seed=0):
    """Returns a long table with columns `date`, `series` and `value`.

    The noise is that of a first-order autoregression, which no forecast can know.

    Args:
        source: `seasons`.
        num_series: Number of series.
        num_steps: Days of each.
        seed: Seed of all that is drawn.

    Raises:
        SettingError: a number out of range.
    """
    check(1 <= num_series <= 1000, "num_series", num_series, "1 to 1000")
    check(60 <= num_steps <= 100_000, "num_steps", num_steps, "60 to 100000")
    random = np.random.default_rng((seed, 13))
    dates = pd.date_range("2021-01-01", periods=num_steps, freq="D")
    days, parts = np.arange(num_steps), []
    for number in range(1, num_series + 1):
        level = random.uniform(50, 500)
        trend = level * random.uniform(-0.2, 0.4) * days / 730
        week = level * random.uniform(0.05, 0.2) * random.normal(size=7)[dates.dayofweek]
        year = level * random.uniform(0.1, 0.3) * np.sin(2 * np.pi * (dates.dayofyear / 365.25 + random.uniform()))
        noise, shocks = np.zeros(num_steps), random.normal(0, 0.04 * level, num_steps)
        for day in days[1:]:
            noise[day] = 0.6 * noise[day - 1] + shocks[day]
        value = np.round(level + trend + week + year + noise, 2)
        parts.append(pd.DataFrame({"date": dates, "series": f"series{number}", "value": value}))
    frame = pd.concat(parts, ignore_index=True)
    return Table(frame, [f"{source} row {number}" for number in range(1, len(frame) + 1)])
