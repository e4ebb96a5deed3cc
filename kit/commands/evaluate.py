"""`kit evaluate`: scores a finished run on one of its splits."""

from kit import terminal
from kit.runs import finished


def run(options, overrides):
    """Scores a run again, prints the scores and tables, and returns them."""
    finished.check_settings(options.run, "evaluate", overrides)
    evaluation = finished.evaluate(options.run, split=options.split, overrides=overrides)
    show = terminal.print_over_seeds if finished.has_several(options.run) else terminal.print_scores
    show(evaluation.metrics, options.split)
    for table in evaluation.tables.values():
        print(terminal.printable_frame(table).to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    return {"folder": options.run, "split": options.split, "metrics": evaluation.metrics}
