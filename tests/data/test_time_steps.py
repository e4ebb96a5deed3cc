"""Times of tables: how they are written, regular steps, the calendar."""

import numpy as np
import pandas as pd
import pytest

from kit.data.time_steps import Grid, calendar, find_grid, read_times, seasons
from kit.errors import KitError, SettingError


def read(values, time_format=None):
    values = pd.Series(values)
    return read_times(values, [f"a.csv row {row}" for row in range(1, len(values) + 1)], "date", time_format)


def grid_of(times):
    times = np.asarray(times)
    return find_grid(times, np.zeros(len(times), int), [f"row {row}" for row in range(len(times))], ["a"])


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-31", "2024-02-01"],
        ["2024-01-31 00:00", "2024-02-01 00:00"],
        ["31.01.2024", "01.02.2024"],
        ["01/31/2024", "02/01/2024"],
        ["31 Jan 2024", "01 Feb 2024"],
        [20240131, 20240201],
        pd.to_datetime(["2024-01-31", "2024-02-01"]),
        pd.to_datetime(["2024-01-31", "2024-02-01"]).tz_localize("UTC"),
        ["2024-01-31T00:00:00Z", "2024-02-01T00:00:00Z"],
    ],
)
def test_dates_in_many_ways(texts):
    times, _ = read(texts)
    assert times.astype("datetime64[D]").astype(str).tolist() == ["2024-01-31", "2024-02-01"]
    again, _ = read(texts, read(texts)[1])
    assert (times == again).all()


def test_a_format_that_is_stated_is_taken():
    assert read(["01/02/2024"], "%d/%m/%Y")[0][0] == np.datetime64("2024-02-01")
    assert read(["2024Q2", "2024Q3"])[0].astype(str)[0].startswith("2024-04-01")
    assert read([1700, 1701])[0].tolist() == [1700, 1701]


@pytest.mark.parametrize(
    ("values", "time_format", "message"),
    [
        (
            ["01/02/2024", "02/02/2024"],
            None,
            r"time_format: a.csv row 1: date is '01/02/2024', which is 2024-0.* or 2024",
        ),
        (["2024-01-31", "soon", "2024-02-02"], None, r"a.csv row 2: date is 'soon', no time; expected a date such as"),
        (["2024-01-31", None], None, r"a.csv row 2: date is .*, no time"),
        (["2024-01-31"], "%d.%m.%Y", r"a.csv row 1: .*expected a date written as %d.%m.%Y"),
        (["2024-01-31"], "day", r"time_format: expected a format of dates"),
        ([1.0, np.nan], None, r"a.csv row 2: date is nan, no time"),
        ([True, False], None, r"row 1: date is True; expected a date"),
    ],
)
def test_what_is_no_time_is_refused(values, time_format, message):
    with pytest.raises((KitError, SettingError), match=message) as caught:
        read(values, time_format)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("freq", "kind", "words", "season"),
    [
        ("D", "times", "1 day", [7, 365]),
        ("h", "times", "1 hour", [24, 168]),
        ("15min", "times", "15 minutes", [4, 96]),
        ("7D", "times", "7 days", [52]),
        ("MS", "months", "1 month", [12]),
        ("ME", "month ends", "1 month", [12]),
        ("QS", "months", "3 months", [4]),
        ("YS", "months", "1 year", []),
        ("B", "weekdays", "1 weekday", [5, 261]),
    ],
)
def test_steps_are_found_and_lead_to_the_same_times(freq, kind, words, season):
    times = pd.date_range("2023-01-02", periods=40, freq=freq).to_numpy("datetime64[us]")
    grid = grid_of(times)
    assert (grid.kind, grid.words) == (kind, words)
    assert seasons(grid)[: len(season)] == season
    assert grid.indices(times).tolist() == list(range(40))
    assert (grid.times(np.arange(40)) == times).all()
    assert grid.times(np.array([40]))[0] == pd.date_range(times[-1], periods=2, freq=freq)[1].to_datetime64()
    assert Grid(kind=grid.kind, step=grid.step, start=grid.start) == grid


def test_numbers_have_steps_too():
    grid = grid_of(np.array([0.1, 0.2, 0.3, 0.5]))
    assert grid.indices(np.array([0.4])).tolist() == [3] and grid.texts([0, 4]) == ["0.1", "0.5"]
    assert grid_of(np.array([1700.0, 1701, 1702])).texts([3]) == ["1703"]
    assert calendar(grid, np.arange(3))[1].shape == (3, 0)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1.0, 2, 3, 3.5, 4.5], r"row 3: 3.5 is not a whole number of steps of 1 from 1; expected regular steps"),
        ([1.0, 2, 2, 3], r"row 2: the time 2 is that of row 1, too; .*data.series"),
        ([1.0], r"one row of each series"),
        (np.array(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-03T12"], "datetime64[us]"), r"row 3: .*1 day"),
    ],
)
def test_irregular_steps_are_refused(times, message):
    with pytest.raises(KitError, match=message):
        grid_of(times)


def test_the_calendar_goes_by_the_steps():
    hours = Grid("times", 3_600_000_000, "2024-01-01")
    names, values = calendar(hours, np.arange(0, 24 * 8))
    assert "hour of the day sine" in names and "Mon" in names and "day of the year sine" not in names
    assert (values[:24] == values[168:]).all()  # a week later
    names, values = calendar(Grid("months", 1, "2024-01-01"), np.arange(25))
    assert names == ["month of the year sine", "month of the year cosine"]
    np.testing.assert_allclose(values[0], values[12], atol=1e-6)
    assert calendar(Grid("months", 12, "2024-01-01"), np.arange(5))[0] == []
