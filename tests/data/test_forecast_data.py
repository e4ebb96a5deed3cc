"""Series of tables: what is found out, what is refused, the division by time, windows that see no future."""

import numpy as np
import pandas as pd
import pytest

from kit.data import forecast_windows
from kit.data.forecast_data import SeriesSource, facts_of, prepare
from kit.data.forecast_inputs import continued
from kit.data.forecast_windows import ForecastOptions
from kit.data.seasonality import find_season
from kit.data.series_columns import SeriesColumns
from kit.data.window_columns import Windows
from kit.errors import KitError, SettingError


def table(steps=120, series=("a", "b"), seed=0):
    draw = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=steps)
    parts = [
        pd.DataFrame(
            {
                "date": days,
                "shop": name,
                "sold": 10 * number + np.sin(2 * np.pi * np.arange(steps) / 7) + 0.1 * draw.normal(size=steps),
                "price": draw.normal(size=steps),
                "visitors": draw.normal(size=steps),
            }
        )
        for number, name in enumerate(series, 1)
    ]
    return pd.concat(parts, ignore_index=True)


COLUMNS = SeriesColumns(series="shop", target="sold")
COVARIATES = SeriesColumns(series="shop", target="sold", known_covariates=("price",), past_covariates=("visitors",))
OPTIONS = ForecastOptions(horizon=5, context=14)


def made(frame, columns=COLUMNS, options=OPTIONS):
    return prepare(where=SeriesSource(frame), columns=columns, options=options)


def batches(examples):
    return examples.arrays(np.arange(len(examples)))


def test_what_is_not_stated_is_found_out():
    found = made(table()[["date", "shop", "sold"]], SeriesColumns(), ForecastOptions())
    assert found.assets["time"] == "date" and found.assets["series"] == "shop" and found.assets["targets"] == ("sold",)
    assert (found.settings["season"], found.settings["horizon"], found.settings["context"]) == (7, 7, 14)


def test_a_wide_table_is_the_same_as_a_long_one():
    long = table()
    wide = long.pivot(index="date", columns="shop", values="sold").reset_index()
    mixed = long.sample(frac=1, random_state=0)
    ours, theirs, shuffled = (made(*each) for each in ((long,), (wide, SeriesColumns(target=("a", "b"))), (mixed,)))
    for examples in zip(ours.examples, theirs.examples, shuffled.examples, strict=True):
        one, other, third = (batches(each)[0] for each in examples)
        for name in one:
            assert np.array_equal(one[name], other[name]) and np.array_equal(one[name], third[name])
    assert theirs.assets["series_names"] == ours.assets["series_names"] == ["a", "b"]


def test_a_series_of_pandas_has_its_times_in_the_index():
    series = table(series=("a",)).set_index("date")["sold"]
    assert made(series, SeriesColumns()).assets["time"] == "date"


def test_windows_are_read_alike_everywhere():
    flat = np.arange(24, dtype="float32").reshape(12, 2)
    column = Windows(flat, [0, 3, 8], 4)
    assert column.take(np.array([1])).tolist() == [flat[3:7].tolist()]
    assert np.array_equal(column.reader()(np.array([2, 0])).numpy(), column.take(np.array([2, 0])))
    assert column.spec(5).shape == (5, 4, 2) and len(column) == 3
    joined = column.joined(column, np.array([0]), np.array([2]))
    assert np.array_equal(joined.values(), column.values(np.array([0, 2])))


def test_a_window_is_of_the_split_that_all_of_its_future_is_in():
    found = made(table())
    steps = [set(), set(), set()]
    origins = found.examples[0].reference
    for number, examples in enumerate(found.examples):
        for row in examples.extra("row"):
            steps[number] |= set(origins.series.steps[row : row + 5])
    train, validation, test = steps
    assert max(train) < min(validation) <= max(validation) < min(test) == origins.division.test
    assert max(test) == 119 and max(train) == origins.division.validation - 1
    assert [sum(found.split == name) for name in ("train", "validation", "test")] == [162, 30, 48]


def flattened(found):
    """Returns all that a model may be made of before the test: facts, assets but the last steps, batches."""
    parts = [str({**found.facts}), str({k: v for k, v in found.assets.items() if k not in ("last_steps",)})]
    arrays = []
    for examples in found.examples[:2]:
        inputs, target, weights = batches(examples)
        arrays += [*inputs.values(), target, weights]
    return parts, arrays


@pytest.mark.parametrize("part", ["test", "validation"])
def test_the_future_changes_nothing_before(part):
    """Other values from a split on: no input, target, weight, scale, season or moment of what is earlier is another."""
    frame = table()
    found = made(frame, COVARIATES, ForecastOptions(horizon=5))
    begin = getattr(found.examples[0].reference.division, part)
    later = frame["date"] >= frame["date"].min() + pd.Timedelta(days=begin)
    for name in ("sold", "price", "visitors"):
        frame.loc[later, name] = 1000 * np.random.default_rng(5).normal(size=later.sum())
    again = made(frame, COVARIATES, ForecastOptions(horizon=5))
    assert found.facts == again.facts
    (parts, arrays), (other_parts, others) = flattened(found), flattened(again)
    assert parts == other_parts
    count = len(arrays) if part == "test" else len(arrays) // 2
    for one, other in zip(arrays[:count], others[:count], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_past_of_a_window_ends_where_its_future_begins():
    frame = table(series=("a",))
    frame["sold"] = np.arange(120.0)
    for examples in made(frame).examples:
        inputs, target, _ = batches(examples)
        assert (inputs["past"][:, -1, 0] + 1 == target[:, 0, 0]).all()
        assert inputs["past"].shape[1:] == (14, 10) and inputs["future"].shape[1:] == (
            5,
            9,
        )  # weekdays, and the time of the year


def test_covariates_that_are_known_in_advance_are_those_of_the_steps_ahead():
    frame = table(series=("a",))
    frame["price"] = np.arange(120.0)
    inputs, _, _ = batches(made(frame, COVARIATES).examples[0])
    assert (inputs["future"][:, 0, 0] == inputs["past"][:, -1, 1] + 1).all()
    mean, deviation = made(frame, COVARIATES).facts["moments"]
    assert mean[0] == pytest.approx(np.arange(82).mean()) and deviation[0] == pytest.approx(np.arange(82).std())


def test_what_was_missing_is_filled_from_before_and_counts_for_nothing():
    frame = table(series=("a",))
    frame.loc[40:43, "sold"] = np.nan
    frame = frame.drop(index=50)
    columns = SeriesColumns(target="sold", series="shop", gaps="fill", missing="last")
    found = made(frame, columns)
    series = found.examples[0].reference.series
    assert (series.target[40:44] == series.target[39]).all() and series.target[50] == series.target[49]
    assert (~series.observed).sum() == 5 and found.assets["tells_missing"]
    _, _, weights = batches(found.examples[0])
    rows = found.examples[0].extra("row")
    first = np.flatnonzero(rows == 38)[0]
    assert (weights[first] > 0).tolist() == [True, True, False, False, False]


def test_a_season_without_a_calendar_is_the_peak_of_the_autocorrelation():
    steps = np.arange(300)
    frame = pd.DataFrame({"step": steps, "value": np.sin(2 * np.pi * steps / 11) + 0.02 * steps})
    found = made(frame, SeriesColumns(time="step"), ForecastOptions())
    assert found.settings["season"] == found.settings["horizon"] == 11
    hours = pd.date_range("2024-01-01", periods=300, freq="30min")
    day = pd.DataFrame({"time": hours, "value": np.sin(2 * np.pi * steps / 48) + 0.001 * (steps % 3)})
    assert made(day, SeriesColumns(), ForecastOptions()).settings["season"] == 48  # not 2: it moves slowly, that is all
    noise = frame.assign(value=np.random.default_rng(0).normal(size=300))
    noisy = made(noise, SeriesColumns(time="step"), ForecastOptions())
    assert noisy.settings["season"] == 1 and noisy.settings["horizon"] == 12
    assert find_season(noisy.examples[0].reference.series, 200)[0] == 1


def test_series_that_end_early_are_divided_at_the_same_time():
    frame = table()
    frame = frame[(frame["shop"] == "a") | (frame["date"] < "2024-03-01")]
    found = made(frame)
    assert set(found.examples[2].extra("series")) == {0} and set(found.examples[0].extra("series")) == {0, 1}


def missing(frame):
    frame.loc[7, "sold"] = np.nan
    return frame


def words(frame):
    frame["price"] = "much"
    return frame


def huge(frame):
    frame.loc[3, "sold"] = 1e300
    return frame


def infinite(frame):
    frame.loc[3, "sold"] = np.inf
    return frame


def offset(frame):
    return frame.assign(sold=frame["sold"] + 1e9)


@pytest.mark.parametrize(
    ("change", "columns", "options", "message"),
    [
        (lambda f: f, {"time": "dat"}, {}, r"time: no column 'dat'; did you mean 'date'"),
        (lambda f: f, {"target": "sold,pric"}, {}, r"target: no column 'pric'; did you mean 'price'"),
        (lambda f: f, {"target": None}, {}, r"target: 3 columns may be forecast; expected one, or several"),
        (
            lambda f: f,
            {"known_covariates": ("sold",)},
            {},
            r"target: expected a column that is nothing else, too, got .sold",
        ),
        (lambda f: f.drop(columns="date"), {}, {}, r"time: no column of times among shop"),
        (lambda f: f.assign(date="x"), {"time": "date"}, {}, r"row 1: date is 'x', no time; expected a date"),
        (lambda f: pd.concat([f, f[5:6]]), {}, {}, r"row 241: the time 2024-01-06.* of 'a' is that of row 6, too"),
        (
            lambda f: f.drop(columns="shop"),
            {"series": None, "target": "sold"},
            {},
            r"is that of row 1, too; .*data.series",
        ),
        (
            lambda f: f.drop(index=9),
            {},
            {},
            r"row 10: 2024-01-10 is missing before it in 'a', and 1 time is missing .*data.gaps=fill",
        ),
        (missing, {}, {}, r"row 8: no sold in 'a', 1 time in all; expected numbers, or data.missing=last"),
        (words, {"known_covariates": ("price",)}, {}, r"row 1: price is 'much'; expected a number"),
        (huge, {}, {}, r"row 4: sold is 1e\+300; expected a finite number"),
        (infinite, {}, {}, r"row 4: sold is inf; expected a finite number"),
        (offset, {}, {}, r"'a' changes by .* which 32 bits hardly tell apart"),
        (lambda f: f[:15], {}, {"horizon": 5}, r"has 15 steps; expected at least 19"),
        (lambda f: f[:127], {}, {}, r"'b' has 7 steps; expected at least 19, a context of 14 .*data.short=skip"),
        (lambda f: f, {}, {"context": 110}, r"context: expected context \(110\) and horizon \(5\) .* the 81 steps"),
        (lambda f: f, {}, {"season": 81}, r"season: expected fewer than the 81 steps"),
        (lambda f: f[:0], {}, {}, r"no rows"),
        (lambda f: f.assign(split="train"), {}, {}, r"says which split each row is of"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(change, columns, options, message):
    given = {"series": "shop", "target": "sold"} | columns
    chosen = {"horizon": 5, "context": 14} | options
    with pytest.raises((KitError, SettingError), match=message) as caught:
        made(change(table()), SeriesColumns(**given), ForecastOptions(**chosen))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "option", [{"horizon": 0}, {"context": 0}, {"stride": 0}, {"test_fraction": 1.0}, {"season": -1}]
)
def test_numbers_out_of_range_are_refused(option):
    with pytest.raises(SettingError, match=next(iter(option))):
        ForecastOptions(**option)


def test_short_series_may_be_left_out():
    found = made(table()[:127], SeriesColumns(series="shop", target="sold", short="skip"))
    assert found.assets["series_names"] == ["a"]


def test_mase_divides_by_the_seasonal_naive_error_of_the_training_part():
    frame = table(series=("a",))
    found = made(frame)
    values = frame["sold"].to_numpy()[: found.examples[0].reference.division.validation]
    assert found.assets["scales"] == [pytest.approx(np.abs(values[7:] - values[:-7]).mean())]
    constant = made(table().assign(sold=lambda f: np.where(f["shop"] == "a", 3.0, f["sold"])))
    assert constant.assets["scales"][0] is None and constant.assets["scales"][1] > 0
    for examples in constant.examples:
        assert all(np.isfinite(each).all() for each in (*batches(examples)[0].values(), *batches(examples)[1:]))


def test_windows_of_validation_are_not_more_than_can_be_looked_at(monkeypatch):
    monkeypatch.setattr(forecast_windows, "_MOST_VALIDATED", 10)
    sizes = [len(examples) for examples in made(table()).examples]
    monkeypatch.undo()
    whole = [len(examples) for examples in made(table()).examples]
    assert sizes[1] <= 10 < whole[1] and (sizes[0], sizes[2]) == (whole[0], whole[2])


def test_the_rule_of_own_data_counts_the_windows_of_training():
    data = {"source": "seasons", "num_series": 1, "num_steps": 100, "horizon": 5, "context": 14}
    expected = len(prepare(where=SeriesSource("seasons", 1, 100), options=OPTIONS).examples[0])
    assert facts_of(data) == {"examples": expected}
    assert facts_of({**data, "num_series": None, "num_steps": None, "target": "sold"}, table())["examples"] == 126


# What a finished run goes on from.


def assets_of(frame, columns=COLUMNS):
    return made(frame, columns).assets


def test_without_inputs_it_goes_on_from_the_last_step():
    frame = table()
    found = continued(None, assets_of(frame))
    assert found.names == ["a", "b"] and found.begin.tolist() == [120, 120]
    np.testing.assert_array_equal(found.inputs["past"][1, :, 0], frame["sold"].to_numpy("float32")[-14:])
    assert found.grid.texts(found.begin)[0] == "2024-04-30"


def test_columns_of_a_wide_table_go_on_together_and_numbers_may_name_series():
    wide = table().pivot(index="date", columns="shop", values="sold").reset_index()
    assets = assets_of(wide[:110], SeriesColumns(target=("a", "b")))
    assert continued(wide[110:], assets).begin.tolist() == [120, 120]
    with pytest.raises(KitError, match="no column 'b'"):
        continued(wide[110:][["date", "a"]], assets)
    numbered = table().assign(shop=lambda f: f["shop"].map({"a": 1, "b": 2}))[["date", "shop", "sold"]]
    assets = assets_of(numbered[numbered["date"] < "2024-04-20"])
    rest = numbered[(numbered["date"] >= "2024-04-20") & (numbered["shop"] == 2)]
    assert continued(rest, assets).names == continued(rest.astype({"shop": str}), assets).names == ["2"]


def test_later_rows_are_the_past_then():
    whole = table(130)
    first, later = whole[whole["date"] < "2024-04-30"], whole[whole["date"] >= "2024-04-30"]
    found = continued(later[["date", "shop", "sold"]], assets_of(first.reset_index(drop=True)))
    alone = continued(whole[["date", "shop", "sold"]], assets_of(first.reset_index(drop=True)))
    for result in (found, alone):
        assert result.begin.tolist() == [130, 130]
        np.testing.assert_array_equal(result.inputs["past"], found.inputs["past"])
    np.testing.assert_array_equal(found.inputs["past"][0, -10:, 0], whole["sold"].to_numpy("float32")[120:130])


def test_what_is_known_in_advance_stands_behind_the_last_value():
    whole = table(130, ("a",))
    assets = assets_of(whole[:120], COVARIATES)
    later = whole[120:].drop(columns=["sold", "visitors"])
    found = continued(later, assets)
    longer = continued(whole[100:].drop(columns=["sold", "visitors"]), assets)  # from before the end of training
    assert found.begin.tolist() == longer.begin.tolist() == [120]
    assert all(np.array_equal(found.inputs[name], longer.inputs[name]) for name in found.inputs)
    np.testing.assert_array_equal(found.inputs["future"][0, :, 0], whole["price"].to_numpy("float32")[120:125])
    values = whole[115:].copy()
    values.loc[123:, ["sold", "visitors"]] = np.nan
    again = continued(values, assets)
    assert again.begin.tolist() == [123]
    np.testing.assert_array_equal(again.inputs["future"][0, :, 0], whole["price"].to_numpy("float32")[123:128])


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (
            lambda f: f[120:124].drop(columns=["sold", "visitors"]),
            r"'a': 'price' is known until 2024-05-03; expected it ",
        ),
        (
            lambda f: f[122:].drop(columns=["sold", "visitors"]),
            r"'a': the table is of 2024-05-02 to 2024-05-09; expected it to go on at 2024-04-30",
        ),
        (lambda f: f[122:], r"'a': 2 steps are missing from 2024-04-30 to 2024-05-02"),
        (lambda f: f[120:].drop(columns=["price"]), r"no column 'price'; expected the columns of training"),
        (lambda f: f[120:].assign(shop="new"), r"'new': .*steps of its past are known; expected 14"),
        (lambda f: f[120:].assign(date=range(10)), r"date is 0; expected dates, not numbers"),
        (
            lambda f: f[120:].assign(date=f["date"][120:] + pd.Timedelta(hours=5)),
            r"not a whole number of steps of 1 day",
        ),
        (lambda f: None, r"expected a table with 'date' and 'price', which are known in advance"),
        (lambda f: [f, f], r"2 inputs; expected one table"),
    ],
)
def test_a_later_table_that_does_not_fit_is_refused(later, message):
    whole = table(130, ("a",))
    with pytest.raises(KitError, match=message) as caught:
        continued(later(whole), assets_of(whole[:120], COVARIATES))
    assert "\n" not in str(caught.value)
