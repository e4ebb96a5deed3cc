"""The queue of a served run: what shares a call, in which sizes, and what becomes of those that cannot."""

import threading

import pytest

from kit.errors import KitError, SettingError
from kit.serving.batching import Batcher, Full, Job, chosen_size, fill
from kit.serving.limits import Limits
from kit.serving.metrics import Metrics


class Network:
    """A function that answers jobs, and waits in its first call until it is let go."""

    def __init__(self, answer=lambda job: job.inputs):
        self.answer, self.calls = answer, []
        self.is_called, self.may_go_on = threading.Event(), threading.Event()

    def __call__(self, jobs):
        self.calls.append([job.inputs for job in jobs])
        self.is_called.set()
        assert self.may_go_on.wait(30)
        return [self.answer(job) for job in jobs]


def held(network, **settings):
    """Returns a batcher whose thread is in a call for a first job, and that job."""
    options = {"size": 8, "wait": 0.0, "waiting": 100} | settings
    batcher, first = Batcher(network, **options), Job("first", 1, "key")
    batcher.submit(first)
    assert network.is_called.wait(30)
    return batcher, first


def test_sizes_are_powers_of_two_that_are_nearly_filled():
    assert [fill(size) for size in (1, 2, 3, 4, 5, 8, 9)] == [1, 2, 4, 4, 8, 8, 16]
    assert [chosen_size(waiting, 8) for waiting in range(1, 12)] == [1, 2, 3, 4, 4, 4, 7, 8, 8, 8, 8]
    for waiting in range(1, 100):
        size = chosen_size(waiting, 32)
        assert 1 <= size <= waiting and size >= fill(size) - max(1, 0.1 * fill(size)) and fill(size) <= 32


def test_what_waits_shares_the_next_call_in_order():
    network = Network()
    batcher, first = held(network)
    jobs = [Job(number, 1, "key") for number in range(11)]
    for job in jobs:
        batcher.submit(job)
    network.may_go_on.set()
    assert [job.future.result(30) for job in (first, *jobs)] == ["first", *range(11)]
    assert network.calls == [["first"], [*range(8)], [8, 9, 10]]
    batcher.close()


def test_other_settings_are_another_call_and_keep_their_turn():
    network = Network()
    batcher, _ = held(network)
    jobs = [Job(number, 1, "one" if number % 2 else "other") for number in range(8)]
    alone = Job("alone", 1, None)
    for job in (*jobs[:4], alone, *jobs[4:]):
        batcher.submit(job)
    network.may_go_on.set()
    for job in jobs:
        assert job.future.result(30) == job.inputs
    assert alone.future.result(30) == "alone"
    assert network.calls == [["first"], [0, 2, 4, 6], [1, 3, 5, 7], ["alone"]]
    batcher.close()


def test_a_job_of_several_rows_is_never_divided():
    network = Network()
    batcher, _ = held(network)
    for rows in (5, 5, 3):
        batcher.submit(Job(rows, rows, "key"))
    network.may_go_on.set()
    batcher.close(30)
    assert network.calls == [["first"], [5, 3], [5]]


def test_one_failure_is_of_its_job_alone():
    network = Network(lambda job: KitError("bad") if job.inputs == 1 else job.inputs)
    batcher, _ = held(network)
    jobs = [Job(number, 1, "key") for number in range(3)]
    for job in jobs:
        batcher.submit(job)
    network.may_go_on.set()
    assert jobs[0].future.result(30) == 0 and jobs[2].future.result(30) == 2
    with pytest.raises(KitError, match="bad"):
        jobs[1].future.result(30)
    batcher.close()


def test_a_call_that_fails_leaves_the_thread_alive():
    def fail(jobs):
        raise RuntimeError("no network")

    batcher = Batcher(fail, 8, 0.0, 10)
    for _ in range(2):
        job = Job(1, 1, "key")
        batcher.submit(job)
        with pytest.raises(RuntimeError):
            job.future.result(30)
    batcher.close(30)


def test_so_many_wait_and_no_more():
    network = Network()
    batcher, _ = held(network, waiting=3)
    jobs = [Job(number, 1, "key") for number in range(3)]
    for job in jobs:
        batcher.submit(job)
    with pytest.raises(Full, match="3 requests are waiting already"):
        batcher.submit(Job(3, 1, "key"))
    jobs[1].future.cancel()  # whoever asked has gone
    batcher.submit(Job(4, 1, "key"))
    network.may_go_on.set()
    batcher.close(30)
    assert network.calls == [["first"], [0, 2, 4]]


def test_what_is_cancelled_at_the_last_moment_leaves_no_key_behind():
    network = Network()
    batcher, _ = held(network)
    one, other, again = jobs = [Job("A1", 1, "A"), Job("B", 1, "B"), Job("A2", 1, "A")]
    batcher._wait_for_others = lambda: one.future.cancel()  # whoever asked leaves while the call waits for others
    for job in jobs:
        batcher.submit(job)
    network.may_go_on.set()
    assert other.future.result(30) == "B" and again.future.result(30) == "A2"
    batcher.close(30)
    assert network.calls == [["first"], ["B"], ["A2"]]


def test_at_its_end_all_that_wait_are_answered_and_others_refused():
    network = Network()
    batcher, first = held(network)
    last = Job("last", 1, "key")
    batcher.submit(last)
    network.may_go_on.set()
    batcher.close(30)
    assert first.future.result(0) == "first" and last.future.result(0) == "last"
    with pytest.raises(Full, match="stopped"):
        batcher.submit(Job(1, 1, "key"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_size", 3),
        ("batch_size", 0),
        ("max_text", 0),
        ("max_upload", float("inf")),
        ("timeout", -1),
        ("timeout", "x"),
    ],
)
def test_limits_out_of_range(key, value):
    with pytest.raises(SettingError, match=f"^{key}: expected"):
        Limits(**{key: value})


def test_metrics_are_prometheus_text():
    metrics = Metrics()
    metrics.count("kit_requests_total", run='a"b\\c\nd', status=200)
    metrics.observe("kit_request_seconds", 0.02, run="x")
    metrics.observe("kit_request_seconds", 99, run="x")
    text = metrics.text([("kit_waiting_requests", "Waiting.", {(("run", "x"),): 3})])
    lines = text.splitlines()
    assert r'kit_requests_total{run="a\"b\\c\nd",status="200"} 1' in lines
    assert 'kit_request_seconds_bucket{run="x",le="0.01"} 0' in lines
    assert 'kit_request_seconds_bucket{run="x",le="0.025"} 1' in lines
    assert 'kit_request_seconds_bucket{run="x",le="+Inf"} 2' in lines
    assert 'kit_request_seconds_count{run="x"} 2' in lines and 'kit_waiting_requests{run="x"} 3' in lines
    assert text.endswith("\n") and all(line.startswith(("#", "kit_")) for line in lines)
