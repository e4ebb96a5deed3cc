"""A served run over HTTP: the answers are those of `run.predict`; what cannot be answered is refused in one line."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import threading
import time

import numpy as np
import pytest

import kit
from kit.cli import main
from kit.errors import KitError, SettingError
from kit.serving.limits import Limits
from kit.serving.server import Server, _print_ready, serve
from tests.serving.asking import ask, ask_at_once, form, png, random_images

PREDICT = "/runs/image_classification/predict"
IMAGE = "image/png"


@pytest.fixture(scope="module")
def server(small_run):
    with Server([small_run.folder], port=0, limits=Limits(batch_size=4, max_upload=0.1, max_waiting=40)) as server:
        yield server


@pytest.fixture(scope="module")
def images():
    return random_images((8, 8, 1), 12)


def test_answers_are_those_of_predict(server, small_run, images):
    expected = small_run.predict(images)
    answers = ask_at_once(server, [(PREDICT, png(image), IMAGE) for image in images])
    assert [answer.status for answer in answers] == [200] * len(images)
    rows = [row for answer in answers for row in answer.json["predictions"]]
    assert [row["label"] for row in rows] == expected["label"].tolist()
    for name in expected.columns[2:]:
        np.testing.assert_allclose([row[name] for row in rows], expected[name], atol=1e-6)
    assert all(list(row) == list(expected.columns) for row in rows)


def test_a_form_with_several_images(server, small_run, images):
    body, kind = form([(f"{number}.png", png(image)) for number, image in enumerate(images[:3])])
    answer = ask(server, PREDICT, body, kind)
    assert answer.status == 200, answer.body
    rows, expected = answer.json["predictions"], small_run.predict(images[:3])
    assert [row["input"] for row in rows] == ["0.png", "1.png", "2.png"]
    assert [row["label"] for row in rows] == expected["label"].tolist()
    body, kind = form([(f"{number}.png", png(image)) for number, image in enumerate(images[:5])])
    answer = ask(server, PREDICT, body, kind)
    assert answer.status in (400, 422) and answer.error


def test_nothing_is_traced_again(server, images):
    network = server.service.runs["image_classification"].run.model
    before = network.predict_function.experimental_get_tracing_count()
    sizes = [png(image) for image in images]
    for count in (1, 2, 3, 5, 7, 12):
        assert {
            answer.status for answer in ask_at_once(server, [(PREDICT, each, IMAGE) for each in sizes[:count]])
        } == {200}
    assert network.predict_function.experimental_get_tracing_count() == before


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"no image at all", IMAGE, 422, "image: not a whole image"),
        (b"", IMAGE, 422, "nothing to predict; expected images"),
        (b"%PDF-1.4", "application/pdf", 415, "content-type: 'application/pdf'; expected an image, or a form"),
        (b"{broken", "application/json", 400, "body: no JSON"),
        (b"[" * 5000, "application/json", 400, "body: no JSON"),
        (b"\xff\xfe", "application/json", 400, "body: not UTF-8"),
        (b"[1]", "application/json", 400, "body: expected a JSON object"),
        (b'{"settings": {"seed": NaN}}', "application/json", 400, "NaN is no number of JSON"),
        (b'{"setings": {}}', "application/json", 422, "setings: no such key; .* did you mean 'settings'"),
        (b'{"\\ud83d": 1}', "application/json", 422, "no such key"),
        (b'{"text": 3}', "application/json", 422, "text: expected a text"),
        (b'{"text": "/etc/passwd"}', "application/json", 422, "text: expected none: this run takes no text"),
        (b'{"settings": {"batch_size": 3}}', "application/json", 422, "batch_size: no setting of a request"),
        (b'{"animation": true}', "application/json", 422, "animation: expected false"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x", 422, "nothing to predict"),
        (b"nonsense", "multipart/form-data", 400, "oundary"),
    ],
)
def test_what_cannot_be_read(server, content, kind, status, said):
    answer = ask(server, PREDICT, content, kind)
    assert answer.status == status, answer.body
    assert re.search(said, answer.error)


def test_paths_lead_nowhere(server):
    for path in (
        "/runs",
        "/openapi.json",
        "/healthz",
        "/metrics",
        "/",
        "/runs/image_classification",
        "/?x=/etc/passwd",
    ):
        assert ask(server, path).status == 200
    for path in (
        *("/etc/passwd", "/../../etc/passwd", "/runs/../../../etc/passwd", "/runs/%2e%2e%2f%2e%2e%2fetc/passwd"),
        *(
            "/runs/image_classification/",
            "/runs/image_classification/config.toml",
            "/static/x",
            "//etc/passwd",
            "/docs",
            "/redoc",
            "/page.html",
        ),
        *("/runs/image_classification/../../server.py", "/runs/image_classification%00/predict"),
    ):
        answer = ask(server, path)
        assert answer.status == 404 and answer.error and b"root:" not in answer.body
    answer = ask(server, "/runs/image_clasification/predict", b"", IMAGE)
    assert answer.status == 404 and "did you mean 'image_classification'" in answer.error
    assert ask(server, PREDICT).status == 405


def test_too_large(server):
    answer = ask(server, PREDICT, b"x" * 200_000, IMAGE)
    assert answer.status == 413 and answer.error == "the request is too large; expected at most 100,000 bytes"


def test_fifty_megabytes_are_refused_before_they_come(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", PREDICT)
    connection.putheader("content-length", "50000000")
    connection.endheaders()  # none of the content is ever sent
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_of_unknown_length_is_read_up_to_the_limit(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(
            f"POST {PREDICT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\n"
            "transfer-encoding: chunked\r\n\r\n".encode()
        )
        connection.sendall(b"1f400\r\n" + b"x" * 0x1F400 + b"\r\n")  # 128,000 bytes, and no end
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_who_may_ask(server):
    for host in ("localhost", f"127.0.0.1:{server.port}", "[::1]:80"):
        assert ask(server, "/healthz", host=host).status == 200
    for host in ("evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "192.168.0.7", ""):
        answer = ask(server, "/healthz", host=host)
        assert answer.status in (400, 421), host
    assert ask(server, "/healthz", host="localhost:1", origin="http://localhost:1").status == 200
    for origin in ("http://evil.example", "null", "http://localhost:2"):
        answer = ask(server, PREDICT, b"", IMAGE, host="localhost:1", origin=origin)
        assert answer.status == 403 and "may not ask" in answer.error
        assert "access-control-allow-origin" not in answer.headers


def test_headers_of_every_answer(server):
    for path in ("/", "/runs", "/nothing", "/healthz", "/openapi.json"):
        headers = ask(server, path).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in headers and "access-control-allow-origin" not in headers


def test_the_page_needs_nothing_from_elsewhere(server):
    answer = ask(server, "/")
    page = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?:|//[a-z]+\.|<link(?![^>]*data:)|\ssrc=|@import|url\(", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\sstyle=|\son[a-z]+=\"", page)
    policy = answer.headers["content-security-policy"]
    assert policy.count("'sha256-") == 2 and "unsafe" not in policy


def test_openapi(server):
    described = ask(server, "/openapi.json").json
    operation = described["paths"][PREDICT]["post"]
    assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert {"200", "413", "422", "503", "504"} <= set(operation["responses"])
    (run,) = ask(server, "/runs").json["runs"]
    assert run["takes"] == "images" and run["image_shape"] == [8, 8, 1] and run["scores"][0][0] == "accuracy"


def test_health_and_metrics(server, images):
    assert ask(server, "/healthz").json == {"status": "ok", "runs": ["image_classification"]}
    asked = png(images[0])
    before = _counted(server, 'kit_requests_total{run="image_classification",status="200"}')
    assert ask(server, PREDICT, asked, IMAGE).status == 200
    assert ask(server, PREDICT, b"x", IMAGE).status == 422
    assert _counted(server, 'kit_requests_total{run="image_classification",status="200"}') == before + 1
    assert _counted(server, 'kit_errors_total{run="image_classification",kind="input"}') >= 1
    assert _counted(server, 'kit_batch_rows_bucket{run="image_classification",le="4"}') >= 1


def _counted(server, name):
    lines = dict(line.rsplit(" ", 1) for line in ask(server, "/metrics").body.decode().splitlines() if line[0] != "#")
    return float(lines.get(name, 0))


def test_too_many_and_too_slow(small_run, images, monkeypatch):
    limits = Limits(batch_size=1, max_waiting=1, timeout=1.0)
    with Server([small_run.folder], port=0, limits=limits) as server:
        batcher = server.service.runs["image_classification"].batcher
        answer_now, is_called, may_go_on = _answers_late(batcher)
        answers = []
        asker = threading.Thread(target=lambda: answers.append(ask(server, PREDICT, png(images[0]), IMAGE)))
        asker.start()
        assert is_called.wait(60)
        slow = ask(server, PREDICT, png(images[1]), IMAGE)  # waits behind the first
        assert slow.status == 504 and slow.error == "no answer within 1 seconds"
        asker.join()
        assert answers[0].status == 504
        server.service.limits = Limits(batch_size=1, max_waiting=1, timeout=60)
        batcher.submit(_job(images[2]))
        full = ask(server, PREDICT, png(images[3]), IMAGE)
        assert full.status == 503 and full.headers["retry-after"] == "1" and "waiting already" in full.error
        may_go_on.set()
        batcher.answer = answer_now
        server.service.limits = Limits()
        assert ask(server, PREDICT, png(images[4]), IMAGE).status in (200, 503)


def _answers_late(batcher):
    """Has a batcher wait before it answers; returns its own function, and events: it was called, it may go on."""
    is_called, may_go_on = threading.Event(), threading.Event()
    answer_now = batcher.answer

    def answer_late(jobs):
        is_called.set()
        assert may_go_on.wait(60)
        return answer_now(jobs)

    batcher.answer = answer_late
    return answer_now, is_called, may_go_on


def _job(image):
    from kit.serving.batching import Job

    return Job((["x"], [image], {}, False), 1, "key")


def test_while_loading_and_when_loading_fails(small_run, tmp_path, monkeypatch):
    may_go_on = threading.Event()
    from kit.runs import finished

    load = finished.load_one

    def load_late(folder):
        assert may_go_on.wait(60)
        return load(folder)

    monkeypatch.setattr(finished, "load_one", load_late)
    server = Server([small_run.folder], port=0)
    starter = threading.Thread(target=server.start)
    starter.start()
    for path, content in (("/healthz", None), ("/runs", None), ("/openapi.json", None), (PREDICT, b"x")):
        answer = ask(server, path, content, IMAGE)
        assert answer.status == 503 and answer.headers["retry-after"] and "being loaded" in answer.error
    assert ask(server, "/").status == 200 and ask(server, "/metrics").status == 200
    may_go_on.set()
    starter.join()
    assert ask(server, "/healthz").status == 200
    server.stop()
    folder = shutil.copytree(small_run.folder, tmp_path / "damaged")
    (folder / "best.keras").write_bytes(b"damaged")
    with pytest.raises(KitError, match="best.keras: missing or damaged"):
        Server([folder], port=0).start()


def test_requests_in_flight_are_answered_at_the_end(small_run, images):
    server = Server([small_run.folder], port=0).start()
    _, is_called, may_go_on = _answers_late(server.service.runs["image_classification"].batcher)
    answers = []
    asker = threading.Thread(target=lambda: answers.append(ask(server, PREDICT, png(images[0]), IMAGE)))
    asker.start()
    assert is_called.wait(60)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    while not server._uvicorn.should_exit:
        time.sleep(0.01)
    may_go_on.set()
    stopper.join()
    asker.join()
    assert answers[0].status == 200 and answers[0].json["predictions"]
    with pytest.raises(OSError):
        ask(server, "/healthz")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_cleanly(small_run, images, capsys, monkeypatch, number):
    found = []

    def ready(server):
        _print_ready(server)
        found.append(ask(server, PREDICT, png(images[0]), IMAGE).status)
        os.kill(os.getpid(), number)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("kit.serving.server._print_ready", ready)
    assert main(["serve", str(small_run.folder), "--port", "0", "--batch-size", "1", "--json"]) == 0
    signal.signal(signal.SIGTERM, before)
    line, told = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"serving image_classification at http://127\.0\.0\.1:\d+ \(Ctrl-C ends it\)", line)
    assert json.loads(told)["runs"] == {"image_classification": str(small_run.folder)} and found == [200]


def test_what_fails_inside_is_told_to_the_log_alone(server, images, caplog, monkeypatch):
    def fail(jobs):
        raise RuntimeError("/a/secret/path\nof the server")

    monkeypatch.setattr(server.service.runs["image_classification"].batcher, "answer", fail)
    answer = ask(server, PREDICT, png(images[0]), IMAGE)
    assert answer.status == 500 and answer.error == "the prediction failed; the log of the server says why"
    (said,) = [record.getMessage() for record in caplog.records if record.name == "kit"]
    assert "secret" in said and "\n" not in said


def test_several_runs_have_names_of_their_own(small_run, tmp_path, images):
    folders = [shutil.copytree(small_run.folder, tmp_path / name) for name in ("one run", "other")]
    with Server([small_run.folder, *folders], port=0, limits=Limits(batch_size=1)) as server:
        names = [run["name"] for run in ask(server, "/runs").json["runs"]]
        assert names == ["small", "one-run", "other"]
        for name in names:
            assert ask(server, f"/runs/{name}/predict", png(images[0]), IMAGE).json["run"] == name


def test_a_hostile_name_is_text(small_run, tmp_path, images):
    folder = shutil.copytree(small_run.folder, tmp_path / "hostile")
    path = folder / "assets" / "assets.json"
    assets = json.loads(path.read_text())
    assets["class_names"][0] = "<script>alert(1)</script>"
    path.write_text(json.dumps(assets))
    (folder / "assets" / "sums.json").unlink()
    with Server([folder], port=0, limits=Limits(batch_size=1)) as server:
        body, kind = form([("<img src=x onerror=alert(1)>.png", png(images[0]))])
        answer = ask(server, PREDICT, body, kind)
        assert answer.headers["content-type"] == "application/json"
        assert "p(<script>alert(1)</script>)" in answer.json["predictions"][0]
        assert b"<script>alert" not in ask(server, "/").body


def test_mistakes_of_the_command_line(small_run, tmp_path, capsys):
    def said(*words):
        assert main(["serve", *map(str, words)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert said(small_run.folder, "--port", port) == (
            f"kit: port: {port} is in use on 127.0.0.1; expected a free one, or 0 for any"
        )
    assert "expected a whole number from 0 to 65535" in said(small_run.folder, "--port", 70000)
    assert "expected a whole number, got 'x'" in said(small_run.folder, "--port", "x")
    assert "batch_size: expected a power of two" in said(small_run.folder, "--batch-size", 3)
    assert "is no address of this machine" in said(small_run.folder, "--host", "127.0.0.300")
    assert "no run folder" in said(tmp_path)
    folder = shutil.copytree(small_run.folder, tmp_path / "unfinished")
    (folder / "metrics.json").unlink()
    assert "this run is not finished; carry it on with" in said(folder)
    assert "unknown setting" in said(small_run.folder, "--predict.tokenised", "true")
    assert "no setting of a server" in said(small_run.folder, "--train.epochs", "3")
    assert "did you mean '--port'" in said(small_run.folder, "--prt", "3")


def test_beyond_this_machine_there_is_a_warning(small_run, capsys):
    found = []

    def ready(server):
        found.append(ask(server, "/healthz", host="other.example").status)
        server._uvicorn.should_exit = True

    serve(small_run.folder, host="0.0.0.0", port=0, batch_size=1, on_ready=ready)
    assert found == [200]
    said = "kit: 0.0.0.0: whoever reaches this address may use it; there is no password"
    assert said in capsys.readouterr().err.splitlines()


def test_from_python_also_where_a_loop_runs(small_run, images, capsys):
    found = []

    def ready(server):
        found.append(ask(server, PREDICT, png(images[0]), IMAGE).status)
        server._uvicorn.should_exit = True

    async def in_a_notebook():
        kit.serve(small_run, port=0, batch_size=1, on_ready=ready)

    asyncio.run(in_a_notebook())
    assert found == [200]
    with pytest.raises(SettingError, match="predict.output: unknown setting"):
        serve(small_run, port=0, settings={"output": "x"})
