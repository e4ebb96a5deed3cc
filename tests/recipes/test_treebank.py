"""A tagger learned from a treebank: raw text in the words of the treebank, and CoNLL-U in and out."""

import pytest

import kit
from kit.cli import main
from kit.data.sources.conllu import FIELDS
from kit.runs import finished

TEXT = "# text = Il va du parc."
BEFORE = "1\tIl\til\tPRON\t_\tG=m\t2\tnsubj\t_\t_\n2\tva\taller\tVERB\t_\t_\t0\troot\t_\t_\n"
AFTER = (
    "3-4\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n3\tde\tde\tADP\t_\t_\t5\tcase\t_\t_\n4\tle\tle\tDET\t_\t_\t5\tdet\t_\t_\n"
    "5\tparc\tparc\tNOUN\t_\t_\t2\tobl\t_\tSpaceAfter=No\n6\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_\n\n"
)
SENTENCE = f"{TEXT}\n{BEFORE}{AFTER}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on a treebank of one sentence."""
    folder = tmp_path_factory.mktemp("treebank")
    (folder / "a.conllu").write_text(SENTENCE * 60, encoding="utf-8")
    settings = {
        "data": {"source": str(folder / "a.conllu")},
        "model": {"backbone": "gru", "word_dim": 8, "feature_dim": 4, "character_dim": 4, "character_units": 8},
        "backbone": {"units": 8},
        "train": {"epochs": 12, "batch_size": 8},
        "optimizer": {"learning_rate": 0.03},
        "evaluate": {"bootstrap_samples": 20},
    }
    return kit.train("sequence_tagging", folder=folder / "run", verbose=False, **settings)


def test_texts_are_scored_beside_words(run):
    metrics = run.metrics["test"]
    assert metrics["accuracy"] == metrics["text_f1"] == metrics["text_words_f1"] == 1
    assert metrics["text_f1_low"] < metrics["text_f1_high"] == 1
    again = finished.evaluate(run.folder)
    assert again.metrics["text_f1"] == 1


def test_predict_cuts_texts_as_the_treebank_does(run, tmp_path):
    table = run.predict("Il va du parc.")
    assert list(table["token"]) == ["Il", "va", "de", "le", "parc", "."]
    assert list(table["tag"]) == ["PRON", "VERB", "ADP", "DET", "NOUN", "PUNCT"]
    assert list(zip(table["start"], table["end"], strict=True))[1:5] == [(3, 5), (6, 8), (6, 8), (9, 13)]
    assert list(kit.load(run.folder).predict("Il va du parc.")["token"]) == list(table["token"])
    assert list(run.predict("du parc.", tokenized=True)["token"]) == ["du", "parc."]
    path = tmp_path / "new.jsonl"
    path.write_text('{"text": "Il va du parc."}\n', encoding="utf-8")
    assert run.predict(path).equals(table)


def test_words_in_the_wrong_places_lower_the_score_of_texts(run):
    splits = finished.data_of(run)
    splits.assets["word_cuts"] = {"cuts": [{}] * len(splits.assets["word_cuts"]["cuts"]), "expansions": []}
    metrics = run.recipe.task.evaluate(run.model, splits.test, splits.assets).metrics
    assert metrics["accuracy"] == 1
    assert metrics["text_words_f1"] == pytest.approx(2 * 2 / (6 + 4))  # `Il va du parc.`: two of six, of four found


def test_conllu_in_conllu_out(run, tmp_path, capsys):
    path = tmp_path / "new.conllu"
    blank = SENTENCE.replace("PRON", "_").replace("NOUN", "X") + "# the end\n" + BEFORE.replace("VERB", "_") + "\n"
    path.write_text(blank, encoding="utf-8")
    assert main(["predict", str(run.folder), str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(SENTENCE)
    assert out.endswith("\n\n") and not out.endswith("\n\n\n")
    column = FIELDS.index("upos")
    for one, other in zip(blank.splitlines(), out.splitlines(), strict=True):
        one, other = one.split("\t"), other.split("\t")
        assert one[:column] + one[column + 1 :] == other[:column] + other[column + 1 :]
    # Beside texts, which have no other columns, words and tags alone are shown.
    assert main(["predict", str(run.folder), str(path), "--text", "Il va."]) == 0
    assert capsys.readouterr().out.startswith("Il\tPRON\nva\tVERB\n")
    assert main(["predict", str(run.folder), str(path), str(path)]) == 0
    assert capsys.readouterr().out == out * 2
