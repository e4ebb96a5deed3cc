"""Explanation of answers: a table, figures and arrays, and the folder with a page that they are written to."""

import dataclasses
import html
import io
import json

import numpy as np
from PIL import Image

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
        tables: Name to a further table, such as the words of a text.
    """

    title: str
    table: object
    figures: dict
    arrays: dict = dataclasses.field(default_factory=dict)
    notes: tuple = ()
    tables: dict = dataclasses.field(default_factory=dict)

    def write(self, folder):
        """Writes a page, the figures as PNG, the tables as CSV and JSON and the arrays as npz into a folder.

        Args:
            folder: A folder that exists.

        Returns:
            Path of the page.
        """
        for name, draw in self.figures.items():
            with atomic(folder / f"{name}.png") as temporary:
                plots.save(draw(), temporary)
        write_text(folder / "explanation.csv", self.table.to_csv(index=False))
        for name, content in self.tables.items():
            write_text(folder / f"{name}.csv", content.to_csv(index=False))
        write_json(folder / "explanation.json", {"notes": list(self.notes), **self.rows()})
        if self.arrays:
            with atomic(folder / "arrays.npz") as temporary:
                np.savez_compressed(temporary, **self.arrays)
        pictures = {name: (folder / f"{name}.png").read_bytes() for name in self.figures}
        parts = [f"<h1>{html.escape(self.title)}</h1>", *self._notes(), *page.gallery(pictures)]
        for name, content in {"table": self.table, **self.tables}.items():
            parts += [f"<h2>{html.escape(name.capitalize())}</h2>", f'<div class="wide">{page.table(content)}</div>']
        page.save(folder / "explanation.html", self.title, parts)
        return folder / "explanation.html"

    def write_picture(self, path):
        """Writes all figures, one below the other, as one PNG.

        Args:
            path: The file.
        """
        drawn = []
        for draw in self.figures.values():
            content = io.BytesIO()
            plots.save(draw(), content, format="png")
            drawn.append(Image.open(content).convert("RGB"))
        whole = Image.new("RGB", (max(each.width for each in drawn), sum(each.height for each in drawn)), "white")
        for row, each in enumerate(drawn):
            whole.paste(each, (0, sum(above.height for above in drawn[:row])))
        with atomic(path) as temporary:
            whole.save(temporary, format="PNG")

    def rows(self):
        """Returns the rows of all tables as JSON has them: those of the first one as `rows`, others by their names."""
        tables = {"rows": self.table, **self.tables}
        return {name: json.loads(content.to_json(orient="records")) for name, content in tables.items()}

    def _notes(self):
        return [f'<p class="soft">{html.escape(note)}</p>' for note in self.notes]

    def _repr_html_(self):
        """Returns notes, figures and table, for a notebook."""
        shown = [page.picture(draw(), name) for name, draw in self.figures.items()]
        tables = map(page.table, (self.table, *self.tables.values()))
        return "".join([f"<b>{html.escape(self.title)}</b>", *self._notes(), *shown, *tables])
