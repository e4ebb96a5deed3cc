"""Progress of a running study: a table that moves on a terminal, a line a trial elsewhere."""

import logging
import time

from kit.terminal import counted, duration, is_log_shown, short
from kit.tuning import brackets

log = logging.getLogger("kit")

_MOST_ROWS = 12


class Display:
    """Shows a study while it runs.

    Args:
        running: The study.
    """

    def __init__(self, running):
        from rich.console import Console
        from rich.live import Live

        self.running = running
        self.live = None
        console = Console(highlight=False)
        if console.is_terminal and is_log_shown():
            # No thread of its own: it is drawn when something happened.
            self.live = Live("", console=console, auto_refresh=False, transient=True)
            self.live.start()
        self.update()

    def update(self):
        """Draws the table anew."""
        if self.live is not None:
            self.live.update(self._table(), refresh=True)

    def stop(self):
        """Takes the table away."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def ended(self, record):
        """Tells that a trial has ended; where the table moves, it stays in the table."""
        if self.live is not None:
            return
        settings = "  ".join(f"{key}={short(value)}" for key, value in self.running.overrides(record["trial"]).items())
        epochs = len(record["curve"])
        if record["state"] == "failed":
            after = counted(epochs, "epoch")
            log.info("trial %d failed after %s: %s   %s", record["trial"], after, record["message"], settings)
            return
        star = "  *" if self.running.best() is record else ""
        log.info(
            "trial %d %s after %s, %s: %s %.4f   %s   %s%s",
            record["trial"],
            record["state"],
            counted(epochs, "epoch"),
            duration(record["seconds"]),
            self.running.monitor,
            record["score"],
            settings,
            self._left(),
            star,
        )

    def _left(self):
        """Returns the time left in words, estimated by the trials that ended since the start."""
        running = self.running
        ended = len(running.journal.ended)
        done = ended - running.begun_before
        if running.search.algorithm == "hyperband":
            total = running.search.trials * running.epochs
            done_epochs = sum(record["new_epochs"] for record in running.journal.ended[running.begun_before :])
            share = done_epochs / max(total - brackets.spent(running.journal.oracle) + done_epochs, 1)
        else:
            share = done / max(running.search.trials - running.begun_before, 1)
        if not done or share <= 0:
            return "time left unknown"
        elapsed = time.perf_counter() - running.started
        return f"{duration(max(elapsed / share - elapsed, 0))} left"

    def _table(self):
        from rich.table import Table

        running = self.running
        keys = list(dict.fromkeys(parameter.key for parameter in running.parameters))
        best = running.best()
        table = Table(
            *(
                "trial",
                "state",
                "epoch",
                running.monitor,
                *(key.removesuffix(".name").rpartition(".")[2] for key in keys),
            ),
            box=None,
            pad_edge=False,
            title=f"{counted(len(running.journal.ended), 'trial')} ended, {len(running.busy)} running; {self._left()}",
            title_justify="left",
        )
        rows = [(record["trial"], record["state"], record["curve"], record) for record in running.journal.ended]
        rows = rows[max(0, len(rows) - max(1, _MOST_ROWS - len(running.busy))) :]
        if best is not None and all(row[3] is not best for row in rows):
            rows = [(best["trial"], best["state"], best["curve"], best), *rows]
        busy = sorted(running.busy.values(), key=lambda attempt: attempt.number)
        rows += [(attempt.number, "running", running.curves[attempt.name], None) for attempt in busy]
        for trial, state, curve, record in rows:
            value = f"{running.best_value(curve):.4f}" if curve else "-"
            settings = running.overrides(trial)
            cells = [str(trial), state, f"{len(curve)}/{running.epochs}", value]
            cells += [short(settings[key]) if key in settings else "-" for key in keys]
            style = (
                "bold green" if record is best and best is not None else "dim" if state in ("stopped", "failed") else ""
            )
            table.add_row(*(cell.replace("[", "\\[") for cell in cells), style=style)
        return table
