"""Prediction from tables: a label, several labels or a number that belong to the rows of a table."""

from typing import Literal

import keras

from kit.blocks.table_columns import TableShape
from kit.data import label_checks, table_inputs
from kit.data.columns import Dense
from kit.data.findings import tell
from kit.data.labelled_tables import TableSource
from kit.data.options import Division
from kit.data.splits import Known, Splits, assign, divided
from kit.data.table_examples import LearnedTable, learn_table, table_examples
from kit.data.table_features import FeatureOptions
from kit.data.table_selection import SelectionOptions
from kit.data.text_answers import AnswerOptions, answers_of, balanced, check_learned, columns_of
from kit.errors import SettingError, check, choose
from kit.models import tabular
from kit.tasks import own_tables, regression
from kit.tasks import tabular as task
from kit.tasks.answers import answering, check_answer
from kit.tasks.recipe import Recipe, Stages
from kit.training import masked_columns


def tabular_predictor(
    num_numbers,
    category_sizes,
    num_classes,
    *,
    cross_sizes=(),
    word_buckets=0,
    number_edges=(),
    answer="label",
    positive_weights=None,
    backbone: str = "table_mlp",
    dropout: float = 0.0,
    label_smoothing: float = 0.0,
    loss: Literal["mse", "mae", "huber", "quantile"] | None = None,
    quantiles: tuple[float, ...] | None = None,
    optimizer="adamw",
):
    """Builds a compiled model that answers to rows of a table with a label, several, or a number.

    Args:
        num_numbers: Number of columns of numbers, standardised.
        category_sizes: Number of ids of each column of categories.
        num_classes: Number of classes or labels; 1 of a number.
        cross_sizes: Number of ids of each crossed column.
        word_buckets: Ids of hashed words of free text; 0 where there is none.
        number_edges: Rising bounds of the bins of each column of numbers, for piecewise linear encoding.
        answer: "label", "labels" or "number".
        positive_weights: Factor of the loss of a row that has a label, for each of several labels; None is 1.
        backbone: Variant of an architecture, as `kit list` prints them; or a function from a
            `kit.blocks.table_columns.TableShape` to a `keras.Model` that returns features (batch, dim).
        dropout: Share of the features that is dropped while training.
        label_smoothing: Share of the target that is spread evenly over all classes; of several labels, over yes and no.
        loss: Loss of a number: "mse", its default, squared error; "mae", absolute; "huber", squared up to an error of
            one standard deviation, absolute beyond; "quantile", several quantiles, of which the median is the answer.
        quantiles: Levels of the quantiles, 0.5 among them; by default 0.05, 0.5 and 0.95.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `numbers` (batch, num_numbers), `categories` (batch, categories), `crosses` (batch, crosses), `words`
            (batch, words), those that the table has
        out: (batch, num_classes), logits; of a number (batch, 1), or (batch, quantiles)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    head = {"dropout": dropout, "label_smoothing": label_smoothing, "loss": loss, "quantiles": quantiles}
    check_answer(answer, num_classes, **head)
    levels = regression.levels_of_loss(loss or "mse", quantiles) if answer == "number" else ()
    shape = TableShape(
        num_numbers, tuple(category_sizes), tuple(cross_sizes), word_buckets, number_edges, len(levels) or num_classes
    )
    if isinstance(backbone, str):
        build, arguments = choose(tabular.VARIANTS, backbone, "backbone")
        network = build(shape, **arguments, name=backbone)
    else:
        network = backbone(shape)
    if cross_sizes and "crosses" not in network.input:
        raise SettingError(
            "data.crosses", f"expected none with {network.name}, which has no wide part; wide_and_deep has"
        )
    inputs = {each.name: keras.Input(each.shape[1:], dtype=each.dtype, name=each.name) for each in network.inputs}
    x = network(inputs)
    head |= {"positive_weights": positive_weights, "optimizer": optimizer}
    return answering(inputs, x, "tabular_predictor", answer, num_classes, **head)


def labelled_rows(
    seed,
    saved,
    *,
    where: TableSource = TableSource(),
    answers: AnswerOptions = AnswerOptions(),
    kinds: tuple[str, ...] = (),
    features: FeatureOptions = FeatureOptions(),
    selection: SelectionOptions = SelectionOptions(),
    class_weights: Literal["none", "balanced"] = "none",
    division: Division = Division(),
):
    """Reads a table, finds out what its columns are, and divides its rows into training, validation and test split.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.
        kinds: Kinds of columns that are not to be found out, as `zip=category`: number, category, date,
            text or ignore; `sold=date %d/%m/%Y` states how dates are written, too.
        class_weights: "balanced" makes rare classes, or labels, count as much as frequent ones in the loss.

    Returns:
        `Splits` of rows, with facts `num_numbers`, `category_sizes`, `num_classes`, `cross_sizes`, `word_buckets`,
        `number_edges`, `answer` and `positive_weights`.

    Raises:
        KitError: a table that cannot be used; the message names it and the row.
        SettingError: a value out of range; the message names the key.
    """
    table, origin = where.read()
    table, found, stated = where.answers(table, origin, answers.stated)
    wanted = answers_of(found, AnswerOptions(stated, answers.separator), origin)
    is_balanced = class_weights == "balanced"
    check(not (is_balanced and wanted.kind == "number"), "class_weights", class_weights, "'none' of numbers")
    asked = [name for name in (division.group, division.time) if name in table.frame.columns]
    known = Known(table.places, table.frame[asked].astype(object).to_dict("list"))
    assignment = assign(table.names, table.split, division, saved, known, **wanted.classes)
    split = assignment["split"].to_numpy(object)
    check_learned(wanted, split, origin)
    is_training = split == "train"
    targets, extras, of_answer = columns_of(wanted, is_training)
    if saved is not None:
        learned = LearnedTable.of_assets(saved.assets)
    else:
        learned = learn_table(table, split, wanted, kinds, features, selection, origin)
    examples = table_examples(table, learned, targets, extras)
    train, *held_out = divided(examples, assignment)
    weights = balanced(wanted, is_training) if is_balanced else None
    if weights is not None and wanted.kind == "label":
        train.weights = Dense(weights[wanted.values])
    return Splits(
        train,
        *held_out,
        facts=table_inputs.sizes(learned.table)
        | {
            "num_classes": len(wanted.names) or 1,
            "number_edges": tuple(map(tuple, learned.number_edges)),
            "answer": wanted.kind,
            "positive_weights": weights if wanted.kind == "labels" else None,
        },
        assets={
            "answer": wanted.kind,
            **of_answer,
            **learned.assets(),
            "missing": list(where.missing),
            "known_columns": [*table.frame.columns, *found.names],
        },
        assignment=assignment,
        settings={"source": str(origin)},
        monitors=tuple(task.TASKS[wanted.kind].monitors),
        findings=tell([*learned.findings, *label_checks.of_answers(wanted, split, "rows")]),
    )


RECIPE = Recipe(
    name="tabular_prediction",
    purpose="Which label, which labels, or which number belongs to a row of a table?",
    examples="rows",
    build=tabular_predictor,
    data=labelled_rows,
    backbones={"backbone": tabular.VARIANTS},
    task=task.task(),
    own_data=own_tables.TABLES,
    stages=Stages(
        pretrain=masked_columns.pretrain,
        tied_layers={"class_names": ("logits",), "table": ("*",)},
        optional_facts=("cross_sizes", "word_buckets", "number_edges", "answer", "positive_weights"),
    ),
)
