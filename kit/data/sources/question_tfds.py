"""Questions of tensorflow-datasets: `tfds:squad`, and others with features context, question and answers."""

import numpy as np

from kit.data.sources import questions as records
from kit.data.sources.questions import Questions
from kit.data.sources.tfds_builder import PREFIX, opened, prepare
from kit.data.split_names import split_named
from kit.errors import KitError, SettingError

__all__ = ["PREFIX", "read"]


def read(source):
    """Returns the questions of a data set that lies in tensorflow-datasets' folder, or can be fetched.

    Args:
        source: `tfds:NAME`, or `tfds:NAME/CONFIG:VERSION`.

    Raises:
        KitError: there is no such data set, it cannot be fetched, or a question cannot be used.
        SettingError: it holds no questions with passages and answers.
    """
    import tensorflow_datasets as tfds

    builder = opened(source)
    features = dict(getattr(builder.info.features, "items", dict)())
    missing = [name for name in ("question", "context", "answers") if name not in features]
    if missing:
        raise SettingError("source", f"{source} has no feature {missing[0]!r}; expected question, context and answers")
    prepare(builder, source)
    found, split = Questions(), []
    for part in builder.info.splits:
        if not split_named(part):
            continue
        for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split=part))):
            question, passage = (example[name].decode("utf-8") for name in ("question", "context"))
            texts = [text.decode("utf-8") for text in np.ravel(example["answers"]["text"])]
            starts = np.ravel(example["answers"]["answer_start"]).tolist()
            answers, place = list(zip(texts, starts, strict=True)), f"{source}:{part}:{row}"
            wrong = records.problem(question, passage, answers)
            if wrong:
                raise KitError(f"{place}: {wrong}")
            title = {"title": example["title"].decode("utf-8")} if "title" in example else {}
            found.add(question, passage, answers, place, columns=title)
            split.append(split_named(part))
    if "train" not in split:
        raise KitError(f"{source}: no training questions")
    found.split = np.array(split, dtype=object)
    return found
