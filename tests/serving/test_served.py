"""A served run: which requests share a call of the network, and that each is answered as alone."""

import threading

import pytest

import kit
from kit.serving.limits import Limits
from kit.serving.served import ServedRun

TEXTS = ["one two three", "two one", "three one two", "one"]


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """A finished run that has learned next to nothing, so that what it draws is all chance."""
    words = ["one", "two", "three", "red", "blue"]
    pairs = [(f"{a} {b} {c}", f"{c} {b} {a}") for a in words for b in words for c in words]
    settings = {
        "data": {"source": pairs, "token_kind": "word", "vocabulary_size": 50},
        "model": {"embedding_dim": 8},
        "backbone": {"dim": 8, "depth": 1, "feedforward_dim": 8, "num_heads": 2},
        "train": {"epochs": 1, "batch_size": 32},
        "evaluate": {"bootstrap_samples": 20, "beam_width": 1},
    }
    folder = tmp_path_factory.mktemp("runs") / "translator"
    return kit.train("translation", config="default", folder=folder, verbose=False, **settings)


def answered_together(served, texts):
    """Returns what texts are answered that wait at the same time, and of how many jobs each call was."""
    calls, may_go_on, answer = [], threading.Event(), served.batcher.answer

    def answer_late(jobs):
        calls.append(len(jobs))
        assert may_go_on.wait(60)
        return answer(jobs)

    served.batcher.answer = answer_late
    jobs = [served.job([text], {}) for text in texts]
    for job in jobs:
        served.batcher.submit(job)
    may_go_on.set()
    answers = [job.future.result(60)["predictions"] for job in jobs]
    served.batcher.close(60)
    return answers, calls


@pytest.mark.parametrize(("method", "is_shared"), [("sample", False), ("greedy", True)])
def test_what_is_drawn_for_one_does_not_go_by_who_else_asks(translator, method, is_shared):
    served = ServedRun("translation", translator, {"method": method}, Limits(batch_size=8))
    answers, calls = answered_together(served, TEXTS)
    assert (max(calls) > 1) == is_shared
    for text, rows in zip(TEXTS, answers, strict=True):
        alone = translator.predict(text, method=method)
        assert [row["translation"] for row in rows] == alone["translation"].tolist()


def test_nor_where_drawing_is_what_is_done_unasked(tmp_path):
    folder = tmp_path / "writer"
    run = kit.train("language_modelling", config="smoke", folder=folder, verbose=False, train={"epochs": 1})
    served = ServedRun("writer", run, {}, Limits(batch_size=8))
    answers, calls = answered_together(served, TEXTS)
    assert max(calls) == 1
    for text, rows in zip(TEXTS, answers, strict=True):
        assert [row["text"] for row in rows] == run.predict(text)["text"].tolist()
