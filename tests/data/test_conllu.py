"""Files of CoNLL-U: the texts that words stand in, what is learned from them, and the same files with other tags."""

import json

import pytest

from kit.data.sources import conllu, tagged_files
from kit.data.word_cuts import WordCuts


def rows(*words):
    """Returns lines of words, each (form, tag), (form, tag, misc) or, for a token of several, (number, form, misc)."""
    found, count = [], 0
    for form, tag, *misc in words:
        if "-" in form and form[0].isdigit():
            found.append("\t".join([form, tag, *"_______", *(misc or "_")]))
        else:
            count += 1
            found.append("\t".join([str(count), form, "_", tag, *"____", "_", *(misc or "_")]))
    return "\n".join(found) + "\n\n"


GLUED = "SpaceAfter=No"
DU = "# text = Il va du parc.\n" + rows(
    ("Il", "PRON"), ("va", "VERB"), ("3-4", "du"), ("de", "ADP"), ("le", "DET"), ("parc", "NOUN", GLUED), (".", "PUNCT")
)
DONT = "# sent_id = 7\n# text = I don't.\n" + rows(
    ("I", "PRON"), ("2-3", "don't", GLUED), ("do", "AUX"), ("n't", "PART"), (".", "PUNCT")
)


def read(tmp_path, text, name="a.conllu", column=None):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return tagged_files.read(path, column)


def test_words_stand_in_their_text(tmp_path):
    found = read(tmp_path, DU + DONT)
    assert found.texts[0] == ("Il va du parc.", [(0, 2), (3, 5), (6, 8), (6, 8), (9, 13), (13, 14)])
    assert found.texts[1] == ("I don't.", [(0, 1), (2, 4), (4, 7), (7, 8)])
    assert found.words[1] == ["I", "do", "n't", "."]
    assert found.field == "upos"
    assert read(tmp_path, DU, column="XPOS").field == "xpos"


def test_a_text_is_put_together_where_no_line_holds_it(tmp_path):
    without = "".join(line for line in (DU + DONT).splitlines(keepends=True) if not line.startswith("# text"))
    assert read(tmp_path, without).texts == read(tmp_path, DU + DONT).texts
    assert read(tmp_path, without.replace(GLUED, "_")).texts is None


def test_white_space_of_a_text_may_be_another_one(tmp_path):
    text = "# text = 10\u00a0000  pas\n" + rows(("10 000", "NUM"), ("pas", "NOUN"))
    assert read(tmp_path, text).texts == [("10\u00a0000  pas", [(0, 6), (8, 11)])]


@pytest.mark.parametrize("text", ["Il va du bois.", "Il va du parc", "Il va du parc. Oui.", ""])
def test_a_text_of_other_words_is_said_and_not_learned_from(tmp_path, caplog, text):
    found = read(tmp_path, DONT + DU.replace("Il va du parc.", text))
    assert found.texts == [("I don't.", [(0, 1), (2, 4), (4, 7), (7, 8)]), None]
    assert len(found.words) == 2
    assert (
        "a.conllu:10: the words are not those of the line '# text' before them; so it is in 1 of 2 sentences"
        in caplog.text
    )


def test_other_files_have_no_texts(tmp_path):
    found = read(tmp_path, "Hi UH\n. PUNCT\n\n", "a.conll")
    assert (found.texts, found.field) == (None, None)


def learned(tmp_path, text):
    found = read(tmp_path, text)
    return WordCuts(**json.loads(json.dumps(WordCuts.learn(found.words, found.texts).to_json())))


def test_words_are_cut_as_in_the_file(tmp_path):
    cut = learned(tmp_path, (DU + DONT) * 4)
    assert cut("I don't.") == (["I", "do", "n't", "."], [(0, 1), (2, 4), (4, 7), (7, 8)])
    assert cut("Il  va du parc.") == (
        ["Il", "va", "de", "le", "parc", "."],
        [(0, 2), (4, 6), (7, 9), (7, 9), (10, 14), (14, 15)],
    )
    assert cut("Du parc, DU PARC")[0][:3] == ["De", "le", "parc,"]
    assert cut("DU")[0] == ["DE", "LE"]
    assert cut(" ") == cut("") == ([], [])


def test_what_was_not_seen_is_cut_like_what_was(tmp_path):
    seen = [("cats", "NOUN"), ("dog", "NOUN"), ("He", "PRON"), ("3.5", "NUM"), ("well-known", "ADJ")]
    text = "".join(rows((word, tag, GLUED), (".", "PUNCT")) for word, tag in seen) * 2
    cut = learned(tmp_path, text)
    assert cut("It was.")[0] == ["It", "was", "."]
    assert cut("7.9")[0] == ["7.9"]
    assert cut("old-fashioned.")[0] == ["old-fashioned", "."]


def test_the_words_around_tell_what_a_token_stands_for(tmp_path):
    two = rows(
        ("vient", "VERB"), ("2-3", "des"), ("de", "ADP"), ("les", "DET"), ("parcs", "NOUN", GLUED), (".", "PUNCT")
    )
    one = rows(("vois", "VERB"), ("des", "DET"), ("chiens", "NOUN", GLUED), (".", "PUNCT"))
    cut = learned(tmp_path, (two * 3 + one) * 4)
    assert cut("vient des lacs.")[0] == ["vient", "de", "les", "lacs", "."]
    assert cut("vois des lacs.")[0] == ["vois", "des", "lacs", "."]


def test_letters_that_have_no_lower_one_of_their_length_and_long_pieces(tmp_path):
    cut = learned(tmp_path, DONT * 4)
    assert cut("İo.")[0] == ["İo", "."]
    assert cut("a" * 5000) == (["a" * 5000], [(0, 5000)])


def test_a_file_is_given_back_with_other_tags(tmp_path):
    text = DU + "# an empty node\n1\tA\ta\tX\tY\tF=1\t0\troot\t0:root\t_\n1.1\tB\tb\tX\tY\t_\t_\t_\t0:x\t_\n\n"
    path = tmp_path / "a.conllu"
    path.write_text(text, encoding="utf-8")
    filled = conllu.filled(path, "upos", iter("ABCDEFG"))
    before, after = ([line.split("\t") for line in each.split("\n")] for each in (text, filled))
    assert len(before) == len(after)
    assert [fields[3] for fields in after if fields[0].isdecimal()] == list("ABCDEFG")
    for one, other in zip(before, after, strict=True):
        assert one[:3] + one[4:] == other[:3] + other[4:]
        assert one[3:4] == other[3:4] or one[0].isdecimal()
    path.write_text(text.rstrip("\n") + "\n\n\n# the end\n\n", encoding="utf-8")
    assert conllu.filled(path, "upos", iter("ABCDEFG")) == filled + "\n# the end\n\n"
