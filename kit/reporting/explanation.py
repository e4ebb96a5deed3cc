"""Explanation of answers: a table, figures and arrays, and the folder with a page that they are written to."""

import dataclasses
import html
import json

import numpy as np

from kit.files import atomic, write_json, write_text
from kit.reporting import page, plots


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Explanation of predictions: attributions as tables, figures and arrays.

    Args:
        title: Title of the page.
        table: `pandas.DataFrame` of what was explained, and how complete it is.
        figures: Name of a file, without its ending, to a function that draws a matplotlib figure.
        arrays: Name to array: the numbers behind the figures.
        notes: Sentences on how it was done, and on what was left out.
    """

    title: str
    table: object
    figures: dict
    arrays: dict = dataclasses.field(default_factory=dict)
    notes: tuple = ()

    def write(self, folder):
        """Writes a page, the figures as PNG, the table as CSV and JSON and the arrays as npz into a folder.

        Args:
            folder: A folder that exists.

        Returns:
            Path of the page.
        """
        for name, draw in self.figures.items():
            with atomic(folder / f"{name}.png") as temporary:
                plots.save(draw(), temporary)
        write_text(folder / "explanation.csv", self.table.to_csv(index=False))
        rows = json.loads(self.table.to_json(orient="records"))
        write_json(folder / "explanation.json", {"notes": list(self.notes), "rows": rows})
        if self.arrays:
            with atomic(folder / "arrays.npz") as temporary:
                np.savez_compressed(temporary, **self.arrays)
        pictures = {name: (folder / f"{name}.png").read_bytes() for name in self.figures}
        parts = [f"<h1>{html.escape(self.title)}</h1>", *self._notes(), *page.gallery(pictures)]
        parts += ["<h2>Table</h2>", f'<div class="wide">{page.table(self.table)}</div>']
        page.save(folder / "explanation.html", self.title, parts)
        return folder / "explanation.html"

    def _notes(self):
        return [f'<p class="soft">{html.escape(note)}</p>' for note in self.notes]

    def _repr_html_(self):
        """Returns notes, figures and table, for a notebook."""
        shown = [page.picture(draw(), name) for name, draw in self.figures.items()]
        return "".join([f"<b>{html.escape(self.title)}</b>", *self._notes(), *shown, page.table(self.table)])
