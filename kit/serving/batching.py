"""Batching of requests: a queue and a thread that puts what waits into one call, of a few fixed sizes."""

import collections
import dataclasses
import threading
import time
from concurrent.futures import Future

from kit.errors import Unavailable

# From so many rows on a call of half as many is about as good, row by row; then half of those who ask are answered, and
# come back, while the other half is in a call, and no call waits for the slowest of them.
_WORTH_HALVING = 16
# A batch is filled up to the next power of two where it lacks one row, or no more than this share; else the lower power
# is taken, and the rest waits for the next call: on a CPU a row that nobody wants costs as much as another.
_WORTH_FILLING = 0.1


class Full(Unavailable):
    """As many requests wait as may."""


@dataclasses.dataclass(frozen=True)
class Job:
    """Prediction job: the inputs of one request, and where their answer goes.

    Args:
        inputs: Its inputs, as the run takes them.
        size: Number of rows that they are in a call.
        key: What requests have to have in common to share a call, such as their settings; None shares none.
        future: Where the answer goes.
    """

    inputs: object
    size: int
    key: object
    future: Future = dataclasses.field(default_factory=Future, compare=False)


def fill(size):
    """Returns the power of two that so many rows are filled up to."""
    return 1 << max(size - 1, 0).bit_length()


def chosen_size(waiting, most):
    """Returns how many of the waiting rows the next call should take: a power of two, or nearly one."""
    waiting = min(waiting, most)
    above = fill(waiting)
    return waiting if above - waiting <= max(1, _WORTH_FILLING * above) else above // 2


class Batcher:
    """Queue of a run, and the thread that answers it.

    A request that finds the queue empty is answered at once. While a call runs others come to wait, and the next call
    takes them together. After a call of several the thread waits for as many again, of many for half as many, since
    whoever asks one after the other is likely to come back, but not longer than `wait`, or a quarter of the call.

    Args:
        answer: Function from a list of jobs with one key to a list of their answers, in order; an answer that is an
            exception is that job's failure.
        size: Most rows in a call.
        wait: Most seconds that a call waits for others.
        waiting: Most jobs in the queue.
        observe: Function `(rows, seconds)` that is told of each call.
        name: Name of the thread.
    """

    def __init__(self, answer, size, wait, waiting, observe=lambda rows, seconds: None, name="batcher"):
        self.answer, self.size, self.wait, self.waiting, self.observe = answer, size, wait, waiting, observe
        self._queue, self._changed, self._is_closed = collections.deque(), threading.Condition(), False
        self._last_size, self._last_seconds = 1, 0.0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def __len__(self):
        return len(self._queue)

    def submit(self, job):
        """Puts a job into the queue.

        Raises:
            Full: as many wait as may, or the queue is closed.
        """
        with self._changed:
            if self._is_closed:
                raise Full("the server is being stopped")
            if len(self._queue) >= self.waiting:
                self._drop_cancelled()
            if len(self._queue) >= self.waiting:
                raise Full(f"{len(self._queue)} requests are waiting already; try again in a moment")
            self._queue.append(job)
            self._changed.notify()

    def close(self, seconds=None):
        """Takes no more jobs; returns once those in the queue are answered, or after so many seconds."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(seconds)

    def _drop_cancelled(self):
        self._queue = collections.deque(job for job in self._queue if not job.future.cancelled())

    def _work(self):
        while jobs := self._next():
            started = time.perf_counter()
            try:
                answers = self.answer(jobs)
            except Exception as error:  # a thread that dies would answer nobody any more
                answers = [error] * len(jobs)
            self._last_size = sum(job.size for job in jobs)
            self._last_seconds = time.perf_counter() - started
            for job, result in zip(jobs, answers, strict=True):
                if isinstance(result, Exception):
                    job.future.set_exception(result)
                else:
                    job.future.set_result(result)
            self.observe(self._last_size, self._last_seconds)

    def _next(self):
        """Returns the jobs of the next call, once there are some; none where the queue is closed and empty."""
        with self._changed:
            while True:
                self._drop_cancelled()
                if not self._queue and self._is_closed:
                    return []
                if self._queue:
                    self._wait_for_others()
                    jobs = self._take()
                    if jobs:
                        return jobs
                else:
                    self._changed.wait()

    def _wait_for_others(self):
        if self._queue[0].key is None or self._is_closed:
            return
        until = time.monotonic() + min(self.wait, self._last_seconds / 4)
        wanted = self._last_size if self._last_size < _WORTH_HALVING else self._last_size // 2
        while self._rows(self._queue[0].key) < wanted and not self._is_closed:
            left = until - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _rows(self, key):
        """Returns how many rows wait that may share a call of a key."""
        return sum(job.size for job in self._queue if job.key == key and not job.future.cancelled())

    def _take(self):
        """Takes the jobs of a call out of the queue: the first, and those after it that may share its call.

        Any of them may be cancelled until it is taken: the first that is not says what the others must have in common.
        """
        key, most, taken, kept, rows = None, 0, [], [], 0
        for job in self._queue:
            fits = not taken or (key is not None and job.key == key and rows + job.size <= most)
            if not fits:
                kept.append(job)
            elif job.future.set_running_or_notify_cancel():
                if not taken and job.key is not None:
                    key, most = job.key, chosen_size(self._rows(job.key), self.size)
                taken.append(job)
                rows += job.size
        self._queue = collections.deque(kept)
        return taken
