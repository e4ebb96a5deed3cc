"""Model files: the `.keras` archive of Keras, the same bytes for the same model and weights."""

import json
import shutil
import zipfile

from kit.files import atomic

# What the archive's entries are dated with, as Keras dates most of them: a zip file has no earlier day.
_DATE = (1980, 1, 1, 0, 0, 0)


def save_model(model, path):
    """Saves a model so that equal models give equal files: without the day, and addresses of this process's memory.

    Args:
        model: The `keras.Model`.
        path: `.keras` file to write, atomically.
    """
    with atomic(path) as temporary:
        model.save(temporary)
        with atomic(temporary) as again, zipfile.ZipFile(temporary) as saved, zipfile.ZipFile(again, "w") as written:
            for name in saved.namelist():
                entry = zipfile.ZipInfo(name, _DATE)
                entry.compress_type = saved.getinfo(name).compress_type
                if name in _REWRITTEN:
                    written.writestr(entry, json.dumps(_REWRITTEN[name](saved.read(name))))
                else:
                    with saved.open(name) as source, written.open(entry, "w", force_zip64=True) as target:
                        shutil.copyfileobj(source, target, 1 << 20)


def _undated(content):
    """Returns the metadata of an archive with the day of its entries."""
    return json.loads(content) | {"date_saved": "1980-01-01@00:00:00"}


def _numbered(content):
    """Returns the configuration of a model in which objects that layers share are numbered, not named by address."""
    numbers = {}

    def number(config):
        if "shared_object_id" in config:
            config["shared_object_id"] = numbers.setdefault(config["shared_object_id"], len(numbers) + 1)
        return config

    return json.loads(content, object_hook=number)


_REWRITTEN = {"metadata.json": _undated, "config.json": _numbered}
