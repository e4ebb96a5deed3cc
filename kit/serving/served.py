"""Served run: a finished run that answers many requests in one call, each as `run.predict` would answer it alone."""

import json
import string
import tempfile
import typing
from pathlib import Path

import numpy as np

from kit import config, terminal
from kit.data.image import read_image
from kit.data.image_inputs import shape_of
from kit.data.sources import EncodedImage
from kit.data.sources.text_files import split_lines
from kit.data.text import is_text
from kit.errors import KitError, SettingError, check, closest
from kit.files import reading
from kit.reporting.page import task as title_of
from kit.serving import answers
from kit.serving.batching import Batcher, Job, fill
from kit.serving.compiled import compile_calls

# Settings that name a place to write to: the server chooses it, and sends what was written there.
PLACES = {"output": "made", "video": "episodes.gif"}
# A request may bring so many times as many lines of text as there are rows in a call.
_LINES_PER_ROW = 8
# Texts of which one is likely to have a letter that a model knows, or values of a row that it takes.
_WARM_UP = (
    "a",
    "a b c d e f 0 1 2 3 . , A B",
    " ".join(string.printable[:94]),
    "а о е и н",
    "的 一 の は",
    "ا ل α ε ि",
    "1",
)


class ServedRun:
    """A finished run behind a queue.

    Args:
        name: Name that it is served by.
        run: `kit.runs.finished.Run`.
        settings: Settings of its `predict` that whoever serves it has chosen, by name.
        limits: `kit.serving.limits.Limits`.
        observe: Function `(rows, seconds)` that is told of each call.

    Attributes:
        takes: What a request brings: "images", "text" or "nothing".
        parts: Names of the texts of an input, of several such as a question and its passage, with tabs between them.
        makes: Whether a request may bring nothing.
        animates: Whether what is done can be watched.

    Raises:
        KitError: the run cannot be used, takes what no request can bring, or a setting is not for a server.
    """

    def __init__(self, name, run, settings, limits, observe=lambda rows, seconds: None):
        task = run.recipe.task
        self.name, self.run, self.limits, self.settings = name, run, limits, dict(settings)
        self.offered = {each.key: each for each in config.settings_of(task.predict)}
        for key in {*PLACES, "attention"} & settings.keys():
            raise SettingError(f"predict.{key}", "expected none: a server sends what it makes to whoever asks")
        self.shape = shape_of(run.assets)
        if task.inputs == "text":
            self.takes = "text"
        elif task.inputs in ("files", "optional") and self.shape:
            self.takes = "images"
        elif task.inputs in ("none", "optional"):
            self.takes = "nothing"
        else:
            raise KitError(f"{run.folder}: {run.recipe.name} takes files that are no images; they cannot be served")
        self.makes = task.inputs in ("none", "optional")
        self.animates = "video" in self.offered
        self.parts = task.parts(run.assets) if self.takes == "text" else ()
        self.chosen = run.prediction(self.settings)
        with reading(run.folder / "metrics.json"):
            self.scores = [list(map(str, each[:2])) for each in terminal.with_intervals(run.metrics["test"])][:4]
        if self.takes == "images":
            compile_calls(run.model)
        self._warm_up()
        self.batcher = Batcher(
            self._answers, limits.batch_size, limits.batch_wait, limits.max_waiting, observe, name=f"run {name}"
        )

    def job(self, inputs, asked, animation=False):
        """Returns the `Job` of a request, its inputs read and checked.

        Args:
            inputs: List of (name, bytes) of images, list of texts, or nothing.
            asked: Settings that it asks for, by name; `kit.config.Text` where they were written as text.
            animation: Send the animation of what is done.

        Raises:
            KitError: the inputs cannot be used; the message names them.
            SettingError: a setting that is unknown, not the asker's to choose, or out of range.
        """
        self._check_asked(asked)
        if animation and not self.animates:
            raise SettingError(
                "animation", f"expected false: {self.run.recipe.name} does nothing that could be watched"
            )
        chosen = self.run.prediction(self.settings | asked) if asked else self.chosen
        if not inputs:
            if not self.makes:
                raise KitError(f"{self.name}: nothing to predict; expected {self.takes}")
            return Job(([], [], chosen, animation), 1, None)
        if self.takes == "nothing":
            raise KitError(f"{self.name}: takes nothing but settings; expected neither images nor text")
        key = None if self._goes_by_row(chosen) else json.dumps(chosen, sort_keys=True, default=str)
        if self.takes == "images":
            most = self.limits.batch_size
            check(len(inputs) <= most, "images", len(inputs), f"at most {most} in a request")
            names, pixels = [name for name, _ in inputs], [self._decoded(*each) for each in inputs]
            return Job((names, pixels, chosen, False), len(pixels), key)
        for text in inputs:
            if not is_text(text):
                raise KitError(f"text: holds characters that are none: {text[:40]!a}; expected text")
        length = sum(map(len, inputs))
        check(length <= self.limits.max_text, "text", f"{length:,} characters", f"at most {self.limits.max_text:,}")
        if not any(text.strip() for text in inputs):
            raise KitError("text: nothing but spaces; expected a sentence")
        lines, most = sum(len(split_lines(text)) for text in inputs), _LINES_PER_ROW * self.limits.batch_size
        check(lines <= most, "text", f"{lines:,} lines", f"at most {most:,} in a request")
        if self.run.recipe.task.check:
            self.run.recipe.task.check(self.run.model, list(inputs), self.run.assets)
        return Job((None, list(inputs), chosen, False), lines, key)

    def describe(self):
        """Returns what a page or a client needs to know of it, as JSON holds it."""
        served = self.run.recipe.task.served
        return {
            "name": self.name,
            "recipe": self.run.recipe.name,
            "title": title_of(self.run.recipe.name),
            "purpose": self.run.recipe.purpose,
            "takes": self.takes,
            "makes": self.makes,
            "animates": self.animates,
            "image_shape": self.shape,
            "parts": list(self.parts),
            "classes": [str(name) for name in self.run.assets.get("class_names", [])][:1000],
            "settings": [_described(self.offered[name], most, self.chosen) for name, most in served.items()],
            "scores": self.scores,
        }

    def _goes_by_row(self, chosen):
        """Returns whether a prediction draws by the row in a call, which in one of several goes by who else asks."""
        by_chance = self.run.recipe.task.by_chance.items()
        return any(chosen.get(name, self.offered[name].default) == value for name, value in by_chance)

    def _check_asked(self, asked):
        served = self.run.recipe.task.served
        for key, value in asked.items():
            if key not in served:
                what = closest(key, served) if served else "; this run has none that a request may choose"
                raise SettingError(key, f"no setting of a request{what}")
            resolved = config.resolve([self.offered[key]], {key: value})[""][key]
            most = served[key]
            check(most is None or resolved <= most, key, resolved, f"at most {most}")

    def _decoded(self, name, data):
        assets = self.run.assets
        how = assets["crop_to_aspect_ratio"], assets.get("background", "white")
        return read_image(EncodedImage(data, name), self.shape[:2], self.shape[2], *how)

    def _warm_up(self):
        """Calls the network once in every size that requests will have, so that none of them waits for a compiler."""
        chosen = self.chosen
        if self.takes == "images":
            size = 1
            while size <= self.limits.batch_size:
                self._rows([], [np.zeros(self.shape, "uint8")] * size, chosen)
                size *= 2
        if self.takes == "text":
            for text in _WARM_UP:
                try:
                    self._rows(None, ["\t".join([text] * len(self.parts))], chosen)
                    break
                except KitError:  # no letter that it knows, or too many; where none fits the first request waits
                    continue
        if self.makes:
            one = {key: 1 for key in ("count", "episodes") if key in self.run.recipe.task.served}
            try:
                self._rows([], [], self.run.prediction(self.settings | one))
            except KitError:
                if self.takes == "nothing":
                    raise
                self.makes = False

    def _answers(self, jobs):
        """Returns what each of several jobs with equal settings is answered, an exception where it failed."""
        if len(jobs) == 1:
            return [self._alone(jobs[0])]
        names = [name for job in jobs for name in job.inputs[0] or ()]
        try:
            rows, _ = self._rows(names, [value for job in jobs for value in job.inputs[1]], jobs[0].inputs[2])
            parts = self._parts(rows, jobs)
        except Exception:  # one of them is to blame
            return [self._alone(job) for job in jobs]
        # A text of which nothing is left has a message of its own, which it gets alone.
        return [{"predictions": part} if part else self._alone(job) for job, part in zip(jobs, parts, strict=True)]

    def _alone(self, job):
        try:
            rows, animation = self._rows(*job.inputs)
        except Exception as error:
            return error
        return {"predictions": rows} | ({"animation": animation} if animation else {})

    def _parts(self, rows, jobs):
        """Divides the rows of a call among its jobs, which have so many images or lines."""
        sizes = [job.size for job in jobs]
        ends = np.cumsum(sizes).tolist()
        starts = [end - size for end, size in zip(ends, sizes, strict=True)]
        if rows and "sentence" in rows[0]:  # from 1, over the lines of all
            return [
                [{**row, "sentence": row["sentence"] - start} for row in rows if start < row["sentence"] <= end]
                for start, end in zip(starts, ends, strict=True)
            ]
        lines = [line for job in jobs if self.takes == "text" for text in job.inputs[1] for line in split_lines(text)]
        # An empty line has no row; with several rows for another one the numbers may be equal by chance.
        if len(rows) != ends[-1] or not all(map(str.strip, lines)):
            raise KitError(f"{self.name}: {len(rows)} answers to {ends[-1]} inputs")
        return [rows[start:end] for start, end in zip(starts, ends, strict=True)]

    def _rows(self, names, values, chosen, animation=False):
        """Returns the rows of a prediction, pictures in them, and the animation or None.

        Args:
            names: Names of images.
            values: Images, (height, width, channels) each, or texts, or nothing.
            chosen: Settings.
            animation: Whether it is asked for.
        """
        inputs, count = values or None, None
        if values and self.takes == "images":
            count = len(values)
            inputs = np.stack(values + values[-1:] * (fill(count) - count))
        with tempfile.TemporaryDirectory(prefix="kit-serve-") as scratch:
            places = {"output": Path(scratch) / PLACES["output"]} if "output" in self.offered else {}
            if animation:
                places["video"] = Path(scratch) / PLACES["video"]
            chosen = chosen | {key: str(path) for key, path in places.items()}
            rows = answers.records(self.run.apply(inputs, chosen))[:count]
            film = answers.data_url(places["video"]) if animation else None
            rows = (
                answers.with_pictures(rows)
                if not animation
                else [{key: value for key, value in row.items() if key != "file"} for row in rows]
            )
        for row, name in zip(rows, names or (), strict=False):
            row["input"] = name
        return rows, film


def _described(setting, most, chosen):
    """Returns what a page or a client needs to know of a setting."""
    options = list(typing.get_args(setting.type)) if typing.get_origin(setting.type) is typing.Literal else None
    default = chosen.get(setting.key, setting.default)
    kind = "text"
    if options:
        kind = "choice"
    elif isinstance(default, tuple | list):
        kind, default = "list", list(default)
    elif isinstance(default, int) and not isinstance(default, bool):
        kind = "integer"
    elif isinstance(default, float):
        kind = "number"
    least = {"PositiveInt": 1, "NonNegativeInt": 0}.get(getattr(setting.type, "__name__", ""))
    return {
        "name": setting.key,
        "meaning": " ".join((setting.meaning or "").split()),
        "kind": kind,
        "options": options,
        "default": default,
        "least": least,
        "most": most,
    }
