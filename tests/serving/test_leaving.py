"""Who asks a server and leaves before the answer: nothing is computed for them, and they are counted as 499."""

import socket
import threading
import time

import pytest

from kit.serving.limits import Limits
from kit.serving.server import Server
from tests.serving.asking import ask, png, random_images

RUN = "image_classification"
PREDICT = f"/runs/{RUN}/predict"


@pytest.fixture(scope="module")
def server(small_run):
    with Server([small_run.folder], port=0, limits=Limits(batch_size=1)) as server:
        yield server


def begin(server, kind, length, body):
    """Returns a connection that a request of so many bytes was begun on."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def until(is_so):
    """Returns whether something is so within a minute."""
    end = time.monotonic() + 60
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    return is_so()


def counted(server, name, **labels):
    """Returns the value of a counter of the server's metrics."""
    shown = ",".join(f'{key}="{value}"' for key, value in {"run": RUN, **labels}.items())
    lines = ask(server, "/metrics").body.decode().splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name}{{{shown}}} ")), 0)


def test_who_leaves_is_not_answered(server, monkeypatch):
    batcher = server.service.runs[RUN].batcher
    answer, calls, is_called, may_go_on = batcher.answer, [], threading.Event(), threading.Event()

    def answer_late(jobs):
        calls.append(len(jobs))
        is_called.set()
        assert may_go_on.wait(60)
        return answer(jobs)

    monkeypatch.setattr(batcher, "answer", answer_late)
    image, answers = png(random_images((8, 8, 1), 1)[0]), []
    stays = threading.Thread(target=lambda: answers.append(ask(server, PREDICT, image, "image/png")))
    stays.start()
    assert is_called.wait(60)
    gone, good = (counted(server, "kit_requests_total", status=status) for status in (499, 200))
    kinds = counted(server, "kit_errors_total", kind="gone")
    leaves = begin(server, "image/png", len(image), image)
    assert until(lambda: len(batcher) == 1)  # its body was read, and it waits behind the first
    leaves.close()
    assert until(lambda: counted(server, "kit_requests_total", status=499) == gone + 1)
    assert server.service._active[RUN] == 1
    may_go_on.set()
    stays.join()
    assert answers[0].status == 200
    assert ask(server, PREDICT, image, "image/png").status == 200
    assert calls == [1, 1]  # of the one who stayed and the one after
    assert counted(server, "kit_requests_total", status=200) == good + 2
    assert counted(server, "kit_errors_total", kind="gone") == kinds + 1


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x"])
def test_who_leaves_while_sending_is_no_failure(server, caplog, kind):
    gone = counted(server, "kit_requests_total", status=499)
    begin(server, kind, 1000, b"--x\r\n").close()
    assert until(lambda: counted(server, "kit_requests_total", status=499) == gone + 1)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    assert server.service._active[RUN] == 0
