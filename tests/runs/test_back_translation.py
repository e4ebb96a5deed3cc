"""Back-translation: training texts by two runs, there and back, kept for the next run; what does not fit is refused."""

import json

import pytest

import kit
from kit import config
from kit.errors import KitError, SettingError
from kit.files import write_json
from kit.recipes.text_classification import labelled_texts
from kit.runs import back_translation
from kit.runs.finished import data_of

TRAIN = {"epochs": 1, "batch_size": 8, "steps_per_epoch": 2, "steps_per_execution": 1, "jit_compile": False}
TEXTS = [(f"May {row + 1}, 2031", "xy"[row % 2]) for row in range(24)]


def classifier(folder, runs, **data):
    return kit.train(
        "text_classification",
        data={"source": TEXTS, "back_translation": [str(run) for run in runs], **data},
        folder=folder,
        model={"backbone": "text_cnn", "embedding_dim": 4},
        backbone={"filters": 2, "kernel_sizes": [2]},
        train=TRAIN,
        evaluate={"bootstrap_samples": 10, "baseline": False},
        verbose=False,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Translators there and back, of a step each: what they write says nothing."""
    folder, found = tmp_path_factory.mktemp("translators"), []
    for source, target in (("en", "de"), ("de", "en")):
        own = {"source_locale": source, "target_locale": target, "num_sentences": 200}
        train = {"epochs": 1, "steps_per_epoch": 1, "steps_per_execution": 1}
        found.append(folder / source)
        kit.train("translation", config="smoke", folder=found[-1], data=own, train=train, verbose=False)
    return found


def test_texts_are_translated_there_and_back_once(runs, tmp_path, monkeypatch):
    first = classifier(tmp_path / "first", runs)
    (path,) = (runs[0] / "back_translations").glob("*.jsonl")
    rows = {row["text"]: row["back"] for row in map(json.loads, path.read_text("utf-8").splitlines())}
    assert rows.keys() < {text for text, _ in TEXTS} and len(rows) == sum(
        split == "train" for split in (first.folder / "assets" / "splits.csv").read_text().replace("\n", ",").split(",")
    )
    there, back = map(kit.load, runs)
    text = next(iter(rows))
    middle = there.predict(text)["translation"][0]
    assert rows[text] == ((back.predict(middle)["translation"][0].strip() or None) if middle.strip() else None)
    assert list(first.settings["data"]["back_translation"]) == [str(run) for run in runs]
    kept = first.folder / "assets" / "back_translation.json"
    assert json.loads(kept.read_text()) == {"weights": path.stem}
    monkeypatch.setattr(back_translation, "_translated", lambda *_: pytest.fail("translated again"))
    again = classifier(tmp_path / "second", runs)
    assert (again.history["loss"] == first.history["loss"]).all()
    splits = data_of(again, TEXTS)
    assert back_translation.prepare(splits, again.settings["data"]) and splits.train.changed.translations
    found = splits.train.changed.translations
    assert found == {text: rows[text] for text in rows if rows[text] is not None}
    write_json(kept, {"weights": "others"})
    with pytest.raises(KitError, match=r"back_translation\.json: data\.back_translation has other weights"):
        splits.keep(first.folder / "assets")


def test_a_translation_stands_in_for_a_text(runs):
    settings = {"back_translation": tuple(map(str, runs)), "back_translated_share": 1.0}
    data = config.call(labelled_texts, 0, None, source=TEXTS, **settings)
    text = data.train.extra("text")[0]
    data.train.changed.translations[text] = "another text"
    assert data.train.changed.texts(data.train, [0], 0, 0) == [("another text",)]
    assert data.train.changed.texts(data.train, [1], 0, 0) == [(data.train.extra("text")[1],)]


def test_what_does_not_fit_is_refused(runs, tmp_path, empty_folder):
    cases = {
        r"data\.back_translation: .*no run folder": (runs[0], tmp_path / "nowhere"),
        r"data\.back_translation: the first run translates from en to de, the second from en to de": (
            (runs[0], runs[0])
        ),
    }
    for said, folders in cases.items():
        with pytest.raises(SettingError, match=said):
            classifier(None, folders)
    other = kit.train(
        "text_classification",
        data=TEXTS,
        folder=tmp_path / "other",
        model={"backbone": "text_cnn", "embedding_dim": 4},
        backbone={"filters": 2, "kernel_sizes": [2]},
        train=TRAIN,
        evaluate={"bootstrap_samples": 10, "baseline": False},
        verbose=False,
    )
    with pytest.raises(SettingError, match="is a run of text_classification; expected one of a recipe that translates"):
        classifier(None, (runs[0], other.folder))
    assert not (empty_folder / "runs").exists()
