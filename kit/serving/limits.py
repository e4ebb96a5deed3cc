"""Limits of the HTTP service: what one request may ask for, and how much waits at a time."""

import dataclasses
import math

from kit.errors import check


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits on size, number and time of requests.

    Args:
        batch_size: Most images or lines of text in one call of a network, and most images in a request; a power of two.
        batch_wait: Seconds that a call waits for requests to share it with, at most; a request alone waits for none.
        max_upload: Most megabytes (millions of bytes) of a request.
        max_text: Most characters of the texts of a request.
        max_waiting: Most requests of a run that wait; more are sent away (503).
        timeout: Seconds until a request is given up (504), and until the server, when it is stopped, gives up on those
            in flight.

    Raises:
        SettingError: a value is out of range.
    """

    batch_size: int = 32
    batch_wait: float = 0.01
    max_upload: float = 10.0
    max_text: int = 10_000
    max_waiting: int = 128
    timeout: float = 60.0

    def __post_init__(self):
        is_power = isinstance(self.batch_size, int) and 1 <= self.batch_size <= 1024
        is_power = is_power and self.batch_size.bit_count() == 1
        check(is_power, "batch_size", self.batch_size, "a power of two from 1 to 1024")
        for key, low, high in (
            *(("batch_wait", 0, 10), ("max_upload", 0.001, 1000), ("max_text", 1, 10_000_000)),
            *(("max_waiting", 1, 100_000), ("timeout", 0.01, 86_400)),
        ):
            value = getattr(self, key)
            is_number = isinstance(value, int | float) and math.isfinite(value)
            check(is_number and low <= value <= high, key, value, f"a number from {low} to {high}")

    @property
    def upload_bytes(self):
        """Most bytes of a request that brings images."""
        return int(self.max_upload * 1_000_000)

    @property
    def text_bytes(self):
        """Most bytes of a request that brings text: JSON may spell a character in twelve, `\\ud83d\\ude00`."""
        return 12 * self.max_text + 10_000
