"""Explanation of answers to rows of tables: importance of columns, partial dependence, TabNet's masks, rules."""

from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit.blocks.sparsemax import SparseMask
from kit.data.labelled_tables import read_rows
from kit.data.splits import Splits
from kit.data.table_features import in_units
from kit.data.table_inputs import feature_names, positions, transformed
from kit.errors import KitError, check, choose
from kit.reporting import table_plots
from kit.reporting.explanation import Explanation
from kit.scoring import rules as extraction
from kit.scoring.classification import softmax
from kit.tasks.regression import numbers_of

_GRID, _MOST_CURVES, _CURVE_ROWS, _MOST_VALUES = 20, 6, 500, 12
_RULE_ROWS = 50_000


def explain(
    model,
    inputs,
    assets,
    *,
    method: Literal["auto", "permutation", "partial_dependence", "masks", "occlusion", "rules"] = "auto",
    target: str | None = None,
    repeats: PositiveInt = 10,
    max_rules: PositiveInt = 12,
    most_inputs: PositiveInt = 12,
    most_rows: PositiveInt = 5000,
):
    """Shows which columns answers to rows of a table rest on, and how.

    Args:
        model: The network.
        inputs: As for `predict`; or `Splits`, as a run without inputs is explained.
        assets: The assets of the data that the model was trained on.
        method: Of the data of the run: "permutation" tells how much worse the test rows are answered when a column is
            shuffled; "partial_dependence" what the answer is on average where a column has each of its values; "rules"
            writes a small decision tree that imitates the network (Craven and Shavlik, 1996), with its fidelity on test
            rows. Of rows: "occlusion" tells how the answer changes when a column is as in a typical row. Of both:
            "masks" draws which columns each step of TabNet looks at. "auto" is all that goes but rules.
        target: Class or label that is explained; by default the one that was answered, of the data the last one.
        repeats: How often a column is shuffled.
        max_rules: Most rules.
        most_inputs: Number of rows that are drawn; of more the first.
        most_rows: Test rows that are shuffled, and training rows behind other numbers; of more some.

    Returns:
        `Explanation`; its table has a row a column (`importance`, with its interval over rows and repeats), a rule, or
        an input.

    Raises:
        KitError: a method that needs the data of the run, or rows, or TabNet.
        SettingError: an unknown class.
    """
    is_data = isinstance(inputs, Splits)
    has_masks = _with_masks(model) is not None
    of_data, of_rows = ("permutation", "partial_dependence", "rules"), ("occlusion",)
    if method in (of_rows if is_data else of_data):
        raise KitError(
            f"explain.method: {method} needs {'rows of a table' if is_data else 'the data of the run'}; "
            f"expected {'some' if is_data else 'no'} inputs"
        )
    if method == "masks" and not has_masks:
        raise KitError("explain.method: masks are of TabNet alone; expected another method")
    names = list(map(str, assets.get("class_names", ["number"])))
    wanted = None
    if target is not None:
        check("class_names" in assets, "target", target, "none of numbers")
        wanted = choose({name: row for row, name in enumerate(names)}, target, "target")
    if not is_data:
        return _of_rows(model, inputs, assets, method, wanted, names, has_masks, most_inputs)
    if method == "rules":
        return _rules(model, inputs, assets, names, max_rules)
    return _of_data(model, inputs, assets, method, wanted, names, has_masks, (repeats, most_inputs, most_rows))


def _with_masks(model):
    """Returns the network that chooses columns by masks, the model or one inside it; None where there is none."""
    networks = [each for each in (model, *model.layers) if isinstance(each, keras.Model)]
    return next((each for each in networks if _mask_layers(each)), None)


def _mask_layers(network):
    return [layer for layer in network.layers if isinstance(layer, SparseMask)]


def _answers(model, features, assets):
    """Returns what a network answers to features, (rows, outputs): probabilities, or the number in its unit."""
    used = {name: values for name, values in features.items() if name in _input_names(model)}
    outputs = np.asarray(model.predict(used, batch_size=1024, verbose=0), "float64")
    if "mean" in assets:
        return numbers_of(model, outputs, assets)[:, None]
    if assets.get("answer") == "labels":
        return 1 / (1 + np.exp(-outputs))
    return softmax(outputs / assets.get("temperature", 1.0))


def _input_names(model):
    return [each.name for each in model.inputs]


def _features(examples, rows=None):
    return {
        name: column.values(examples.rows)[slice(None) if rows is None else rows]
        for name, column in examples.inputs.items()
    }


def _some(count, most):
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def _changed(features, spots, other):
    """Returns features whose values at some spots are those of other rows, or one value for each."""
    found = dict(features)
    for name, columns in spots.items():
        found[name] = found[name].copy()
        found[name][:, columns] = other[name][..., columns]
    return found


def _losses(answers, examples, rows, assets):
    """Returns how badly each row is answered: 0 or 1 of classes, the share of wrong labels, or the absolute error."""
    if "mean" in assets:
        return np.abs(answers[:, 0] - examples.extra("number")[rows])
    if assets.get("answer") == "labels":
        return ((answers >= 0.5) != (examples.target("labels")[rows] > 0.5)).mean(1)
    return (answers.argmax(1) != examples.target("label")[rows]).astype("float64")


def _importance(model, splits, assets, repeats, most_rows):
    """Returns, for each column, how much worse rows are answered when it is shuffled, low and high; the best first."""
    test = splits.test
    rows = _some(len(test), most_rows)
    features = _features(test, rows)
    before = _losses(_answers(model, features, assets), test, rows, assets)
    random, found = np.random.default_rng(0), {}
    for name, spots in positions(assets["table"]).items():
        worse = np.zeros((repeats, len(rows)))
        for repeat in range(repeats):
            order = random.permutation(len(rows))
            other = {each: values[order] for each, values in features.items()}
            changed = _answers(model, _changed(features, spots, other), assets)
            worse[repeat] = _losses(changed, test, rows, assets) - before
        # Rows and shuffles are both drawn: the mean over shuffles of each row, and rows bootstrapped.
        means = worse.mean(0)
        drawn = random.integers(0, len(rows), (500, len(rows)))
        low, high = np.quantile(means[drawn].mean(1), (0.025, 0.975))
        found[name] = float(means.mean()), float(low), float(high)
    return dict(sorted(found.items(), key=lambda each: (-each[1][0], each[0])))


_LOSSES = {
    "label": "share of rows that are answered wrongly instead",
    "labels": "share of labels that are wrong instead",
}


def _of_data(model, splits, assets, method, wanted, names, has_masks, numbers):
    repeats, most_inputs, most_rows = numbers
    used = [each for each in ("permutation", "partial_dependence", "masks") if method in (each, "auto")]
    figures, arrays, notes, tables = {}, {}, [], {}
    importance = _importance(model, splits, assets, repeats, most_rows)
    if not importance:
        raise KitError("explain: the numbers of the table are principal components; expected data.pca=0")
    label = _LOSSES.get(assets.get("answer"), "growth of the mean absolute error")
    table = pd.DataFrame(
        [(name, *values) for name, values in importance.items()], columns=["column", "importance", "low", "high"]
    )
    if "permutation" in used:
        figures["01_importance_of_columns"] = lambda: table_plots.importance(importance, label)
        notes.append(
            f"Importance: {label} when a column is shuffled, mean of {repeats} shuffles of "
            f"{min(len(splits.test), most_rows):,} test rows, with the 95 % interval over rows. Columns that say the "
            "same stand in for each other: shuffling one alone changes little."
        )
    if "partial_dependence" in used:
        output = (len(names) - 1 if wanted is None else wanted) if "class_names" in assets else 0
        curves = {}
        for name in list(importance)[:_MOST_CURVES]:
            curve = _curve(model, splits, assets, name, output, min(most_rows, _CURVE_ROWS))
            if curve is not None:
                curves[name] = curve
        answer_name = "number" if "mean" in assets else f"p({names[output]})"
        if curves:
            figures["02_partial_dependence"] = lambda: table_plots.partial_dependence(curves, answer_name)
            tables["dependence"] = pd.DataFrame(
                [
                    (name, value, answer)
                    for name, (values, answers) in curves.items()
                    for value, answer in zip(values, answers, strict=True)
                ],
                columns=["column", "value", "answer"],
            )
            notes.append(
                f"Partial dependence: the mean of {answer_name} over training rows whose column is set to each value."
            )
    if "masks" in used and has_masks:
        rows = np.arange(min(len(splits.test), most_inputs))
        drawn, weights, told = _masks(model, _features(splits.test, rows), assets, [f"row {row + 1}" for row in rows])
        figures, arrays, notes = figures | drawn, arrays | weights, [*notes, told]
    return Explanation("What the answers rest on", table, figures, arrays, tuple(notes), tables)


def _curve(model, splits, assets, name, output, count):
    """Returns values of a column and the mean answer where all rows have each; None of free text."""
    column = next(each for each in assets["table"]["columns"] if each["name"] == name)
    if column["kind"] not in ("number", "category"):
        return None
    features = _features(splits.train, _some(len(splits.train), count))
    ((kind, (spot, *rest)),) = positions(assets["table"])[name].items()
    own = features[kind][:, spot]
    if column["kind"] == "number":
        values = np.unique(np.quantile(own, np.linspace(0.02, 0.98, _GRID)))
        shown = [in_units(value, column) for value in values]
    else:
        ids, counts = np.unique(own, return_counts=True)
        values = np.sort(ids[np.argsort(-counts, kind="stable")][:_MOST_VALUES])
        texts = ["rare", *column["values"], "missing"]
        shown = [texts[value] for value in values]
    answers = []
    for value in values:
        changed = dict(features)
        changed[kind] = changed[kind].copy()
        changed[kind][:, spot] = value
        changed[kind][:, rest] = 0  # it is not missing
        answers.append(float(_answers(model, changed, assets)[:, output].mean()))
    return shown, answers


def _masks(model, features, assets, rows):
    """Returns the figure, the numbers and a note on TabNet's masks of rows."""
    network = _with_masks(model)
    layers = _mask_layers(network)
    inside = keras.Model(network.input, [layer.output for layer in layers])
    used = {name: values for name, values in features.items() if name in _input_names(network)}
    weights = np.stack([np.asarray(each) for each in inside.predict(used, verbose=0)])  # (steps, rows, columns)
    if len(layers) == 1:
        weights = weights.reshape(1, len(rows), -1)
    told = feature_names(assets["table"])
    names = [*told["numbers"], *told["categories"]]
    names += ["words"] if weights.shape[2] > len(names) else []
    note = "Masks: the weight of each column in each step of TabNet; those of a row and a step add up to 1."
    return {"03_masks": lambda: table_plots.masks(weights, names, rows)}, {"masks": weights}, note


def _of_rows(model, inputs, assets, method, wanted, names, has_masks, most):
    columns = [column["name"] for column in assets["table"]["columns"]]
    table = read_rows(inputs, columns, assets["missing"])
    count = len(table.places)
    features = transformed(table.frame, assets["table"], table.places)
    features = {name: values[:most] for name, values in features.items()}
    places = table.places[:most]
    answers = _answers(model, features, assets)
    own = answers.argmax(1) if wanted is None else np.full(len(answers), wanted)
    before = answers[np.arange(len(answers)), own]
    shown = pd.DataFrame({"input": places, "explained": [names[each] for each in own], "answer": before})
    figures, arrays, notes, tables = {}, {}, [], {}
    if method in ("auto", "occlusion"):
        typical = {name: np.asarray(values) for name, values in assets["typical"].items()}
        found = []
        for spots in positions(assets["table"]).values():
            changed = _answers(model, _changed(features, spots, typical), assets)
            found.append(before - changed[np.arange(len(answers)), own])
        effects = np.stack(found, 1)  # (rows, columns)
        kept = list(positions(assets["table"]))
        shown["because"] = [
            ", ".join(f"{kept[column]} {effects[row, column]:+.3f}" for column in np.argsort(-np.abs(effects[row]))[:3])
            for row in range(len(effects))
        ]
        tables["effects"] = pd.DataFrame(
            [
                (place, name, effects[row, column])
                for row, place in enumerate(places)
                for column, name in enumerate(kept)
            ],
            columns=["input", "column", "effect"],
        )
        for row in range(len(effects)):
            ranked = np.argsort(-np.abs(effects[row]), kind="stable")
            bars = {kept[column]: (effects[row, column],) * 3 for column in ranked}
            label = f"{places[row]}: what each column adds to {shown['explained'][row]}"
            figures[f"{row + 1:02}_columns"] = lambda bars=bars, label=label: table_plots.importance(bars, label)
        notes.append("Occlusion: the answer less that to the same row whose column is as in a typical training row.")
    if method in ("auto", "masks") and has_masks:
        drawn, weights, told = _masks(model, features, assets, places)
        figures, arrays, notes = figures | drawn, arrays | weights, [*notes, told]
    if count > most:
        notes.append(f"The first {most} of {count} rows; explain.most_inputs says how many.")
    return Explanation("What the answers rest on", shown, figures, arrays, tuple(notes), tables)


def _rules(model, splits, assets, names, most):
    if assets.get("answer") == "labels":
        raise KitError("explain.method: rules are of one label or a number; expected another method")
    of_numbers = "mean" in assets
    parts = []
    for examples in (splits.train, splits.test):
        rows = _some(len(examples), _RULE_ROWS)
        features = _features(examples, rows)
        answers = _answers(model, features, assets)
        parts.append((_rule_columns(features, assets), answers[:, 0] if of_numbers else answers.argmax(1), rows))
    (columns, answers, _), (held_out, held_out_answers, rows) = parts
    found, fidelity = extraction.extracted(
        _rule_features(assets), columns, answers, held_out, held_out_answers, most, None if of_numbers else names
    )
    told = "distance" if of_numbers else "fidelity"
    table = pd.DataFrame(
        {"rows": [rule.rows for rule in found], told: [rule.fidelity for rule in found], "rule": list(map(str, found))}
    )
    told = (
        f"R² {fidelity:.3f} of the network's numbers for"
        if of_numbers
        else f"the network's answer for {fidelity:.1%} of"
    )
    note = f"{len(found)} rules give {told} {len(rows):,} test rows, which they have not seen."
    return Explanation("Rules that imitate the network", table, {}, {"fidelity": np.array(fidelity)}, (note,))


def _rule_features(assets):
    """Returns the `Feature` of each column that rules may ask for."""
    numbers = iter(feature_names(assets["table"])["numbers"])
    found = []
    if assets["table"]["pca"]:
        found = [extraction.Feature(name) for name in numbers]
    else:
        for column in assets["table"]["columns"]:
            if column["kind"] == "number":
                found.append(
                    extraction.Feature(next(numbers), None, lambda bound, column=column: in_units(bound, column))
                )
            for part in column.get("parts", {}).values():
                unit = lambda bound, part=part: float(bound * part["deviation"] + part["mean"])  # noqa: E731
                found.append(extraction.Feature(next(numbers), None, unit))
            if column["kind"] in ("number", "date") and column["has_missing"]:
                found.append(extraction.Feature(column["name"], "missing"))
                next(numbers)
    for column in assets["table"]["columns"]:
        if column["kind"] == "category":
            values = ["rare", *column["values"], *(["missing"] if column["has_missing"] else [])]
            found += [extraction.Feature(column["name"], value) for value in values]
    return found


def _rule_columns(features, assets):
    """Returns the columns of `_rule_features`, (rows, columns)."""
    parts = [features["numbers"]] if "numbers" in features else []
    place = 0
    for column in assets["table"]["columns"]:
        if column["kind"] == "category":
            size = len(column["values"]) + 1 + column["has_missing"]
            parts.append((features["categories"][:, place, None] == np.arange(size)).astype("float32"))
            place += 1
    if not parts:
        raise KitError("explain.method: rules ask for numbers and categories; the table has neither")
    return np.concatenate(parts, 1)
