"""Tokenizers that come with published weights: `tokenizer.json`, or BERT's `vocab.txt`."""

from pathlib import Path

from kit.data.tokens import Tokenizer
from kit.errors import KitError
from kit.files import read_json, reading


def tokenizer_of(folder, vocabulary_size):
    """Returns the `Tokenizer` of a folder of published weights.

    Args:
        folder: Path of the folder.
        vocabulary_size: Number of tokens that the network has embeddings for.

    Raises:
        KitError: there is none, it is damaged, or it has more tokens than there are embeddings.
    """
    path = Path(folder) / "tokenizer.json"
    if path.exists():
        with reading(path):
            found = Tokenizer(path.read_text(encoding="utf-8"))
    else:
        path = path.with_name("vocab.txt")
        if not path.exists():
            raise KitError(f"{folder}: tokenizer.json is missing, and vocab.txt, which can take its place")
        found = _of_words(path)
    if len(found) > vocabulary_size:
        raise KitError(f"{path}: {len(found):,} tokens; expected at most {vocabulary_size:,}, which have embeddings")
    return found


def _of_words(path):
    """Returns BERT's tokenizer, given its list of word pieces."""
    from tokenizers import BertWordPieceTokenizer

    settings = path.with_name("tokenizer_config.json")
    said = read_json(settings) if settings.exists() else {}
    with reading(path):
        known = BertWordPieceTokenizer(
            str(path), lowercase=said.get("do_lower_case", True), strip_accents=said.get("strip_accents")
        )
        return Tokenizer(known.to_str())
