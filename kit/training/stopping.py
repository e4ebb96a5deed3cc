"""Ctrl-C and SIGTERM while training: the run is saved first, in the middle of an epoch, too."""

import contextlib
import os
import signal
import threading


class Stop:
    """Whether somebody has asked the training to stop.

    Inside `heard`, the first signal that would raise KeyboardInterrupt is noted while `is_saving_near`, and raised by
    `raise_if_asked`, once what can be saved is saved. A second one is raised at once.
    """

    def __init__(self):
        self.is_asked = False
        self.is_saving_near = False

    @contextlib.contextmanager
    def heard(self):
        """Takes over the signals that raise KeyboardInterrupt, and no others; possible in the main thread alone."""
        taken = []
        if threading.current_thread() is threading.main_thread():
            numbers = (signal.SIGINT, signal.SIGTERM)
            taken = [number for number in numbers if signal.getsignal(number) is signal.default_int_handler]
        for number in taken:
            signal.signal(number, self._hear)
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, signal.default_int_handler)

    def _hear(self, number, frame):
        if self.is_asked or not self.is_saving_near:
            raise KeyboardInterrupt
        self.is_asked = True
        with contextlib.suppress(OSError):  # not through a log, which may be in the middle of a line
            os.write(2, b"kit: stopping as soon as the run is saved; once more stops at once\n")

    def raise_if_asked(self):
        """Raises KeyboardInterrupt where that was postponed."""
        self.is_saving_near = False
        if self.is_asked:
            raise KeyboardInterrupt
