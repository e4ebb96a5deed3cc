"""Findings on a data set: what is wrong or worth knowing, how many examples it concerns, and which setting mends it."""

import dataclasses
import logging

log = logging.getLogger("kit")

# From what spoils a training or its scores to what is good to know.
LEVELS = ("problem", "warning", "note")


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that was found in a data set.

    Args:
        kind: Short name of what it is, the same in every data set, such as "equal_across_splits".
        level: "problem" where training fails or scores lie, "warning" where they may suffer, "note" otherwise.
        message: What was found, in one line with numbers.
        advice: What to do about it, in one line; it names the setting that mends it, where there is one.
        count: Number of examples, classes or files that it concerns.
        examples: Some of them: dictionaries of what is to be shown, such as `example`, `split` and `label`.
        rows: Groups of row numbers of examples that are to be shown together.
    """

    kind: str
    level: str
    message: str
    advice: str
    count: int
    examples: list = dataclasses.field(default_factory=list)
    rows: list = dataclasses.field(default_factory=list)

    def __str__(self):
        return f"{self.message}; {self.advice}"

    def to_json(self):
        """Returns the finding as JSON has it, without row numbers, which mean nothing outside."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in fields.items() if name != "rows"}


def tell(findings):
    """Writes a line of the log for each finding; returns them."""
    for finding in findings:
        log.info("data: %s", finding)
    return findings


def of_total(count, total, noun):
    """Returns a count of things in words, such as "3 of 1,200 images"."""
    return f"{count:,} of {total:,} {noun}"


def some(names, most=3):
    """Returns the first few names in words, and how many more there are."""
    names = [repr(str(name)) for name in names]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
