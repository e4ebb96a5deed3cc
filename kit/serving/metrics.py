"""Metrics of the HTTP service in Prometheus' text format: requests, seconds, batches, errors."""

import threading

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)

# Name of each metric, its kind, the bounds of a histogram, and what it counts.
_KNOWN = {
    "kit_requests_total": ("counter", None, "Requests, by run and by status of the answer."),
    "kit_request_seconds": ("histogram", _SECONDS, "Seconds from a request to its answer."),
    "kit_batch_rows": ("histogram", _ROWS, "Images or lines of text in a call of the network."),
    "kit_call_seconds": ("histogram", _SECONDS, "Seconds of a call of the network, with what is made of its output."),
    "kit_errors_total": ("counter", None, "Requests that were not answered as asked, by kind of error."),
}


class Metrics:
    """Counters and histograms, safe to be counted by several threads."""

    def __init__(self):
        self._values, self._lock = {}, threading.Lock()

    def count(self, name, **labels):
        """Adds one to a counter."""
        with self._lock:
            key = (name, tuple(labels.items()))
            self._values[key] = self._values.get(key, 0) + 1

    def observe(self, name, value, **labels):
        """Adds a value to a histogram."""
        bounds = _KNOWN[name][1]
        with self._lock:
            counts, total = self._values.setdefault((name, tuple(labels.items())), ([0] * (len(bounds) + 1), [0.0]))
            counts[next((index for index, bound in enumerate(bounds) if value <= bound), len(bounds))] += 1
            total[0] += value

    def text(self, gauges=()):
        """Returns all of it, with gauges, each (name, meaning, {labels: value}); labels are a tuple of pairs."""
        lines = []
        with self._lock:
            for name, (kind, bounds, meaning) in _KNOWN.items():
                lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
                for (other, labels), value in self._values.items():
                    if other == name:
                        lines += _histogram(name, labels, bounds, value) if bounds else [_line(name, labels, value)]
        for name, meaning, values in gauges:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
            lines += [_line(name, labels, value) for labels, value in values.items()]
        return "\n".join(lines) + "\n"


def _histogram(name, labels, bounds, value):
    (counts, (total,)), lines, so_far = value, [], 0
    for bound, count in zip((*bounds, "+Inf"), counts, strict=True):
        so_far += count
        lines.append(_line(f"{name}_bucket", (*labels, ("le", bound)), so_far))
    return [*lines, _line(f"{name}_sum", labels, total), _line(f"{name}_count", labels, so_far)]


def _line(name, labels, value):
    escaped = ((key, str(text).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for key, text in labels)
    shown = ",".join(f'{key}="{text}"' for key, text in escaped)
    return f"{name}{{{shown}}} {value}" if shown else f"{name} {value}"
