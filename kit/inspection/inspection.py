"""Data quality report: findings on a data set, with numbers, tables and pictures."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from kit.data.findings import LEVELS


@dataclasses.dataclass
class Inspection:
    """Findings on a data set, and what it holds.

    Args:
        recipe: Name of the recipe whose data they are.
        source: Where they come from.
        findings: List of `Finding`, problems first.
        numbers: Name to number or short text of what there is, such as "images".
        tables: Name to table, such as the examples of each class and split.
        figures: Name to function that draws a matplotlib figure.
        picture: Function from a row number to a picture of it (Pillow's), where examples are images; or None.
        caption: Function from a row number to what stands below its picture.
        transformed: Pairs of pictures before and after the transforms that were asked for.
        transforms: The transforms in words.
        page: Path of the page, or None before it is written.
    """

    recipe: str
    source: str
    findings: list
    numbers: dict
    tables: dict = dataclasses.field(default_factory=dict)
    figures: dict = dataclasses.field(default_factory=dict)
    picture: Callable | None = None
    caption: Callable = str
    transformed: list = dataclasses.field(default_factory=list)
    transforms: str = ""
    page: Path | None = None

    def __post_init__(self):
        self.findings = sorted(self.findings, key=lambda finding: LEVELS.index(finding.level))

    @property
    def kinds(self):
        """Kinds of the findings, in their order, such as "equal_across_splits"."""
        return [finding.kind for finding in self.findings]

    @property
    def table(self):
        """The findings as a `pandas.DataFrame`."""
        columns = ["level", "kind", "count", "message", "advice"]
        return pd.DataFrame(
            [{name: getattr(each, name) for name in columns} for each in self.findings], columns=columns
        )

    def count(self, level):
        """Returns the number of findings of a level."""
        return sum(finding.level == level for finding in self.findings)

    def to_json(self):
        """Returns findings, numbers and tables as JSON has them."""
        tables = {name: table.astype(object).to_dict("records") for name, table in self.tables.items()}
        return {
            "recipe": self.recipe,
            "source": self.source,
            "numbers": self.numbers,
            "findings": [finding.to_json() for finding in self.findings],
            "tables": tables,
            "page": None if self.page is None else str(self.page),
        }

    def __repr__(self):
        told = ", ".join(f"{self.count(level)} {level}s" for level in LEVELS)
        return f"Inspection({self.source!r}: {told})"

    def _repr_html_(self):
        from kit.reporting import page

        return page.table(self.table)
