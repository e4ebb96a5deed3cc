"""`kit report`: writes the page of a finished run, or one that compares several."""

from kit import terminal
from kit.commands.flags import refuse_settings
from kit.errors import KitError
from kit.runs import finished


def run(options, overrides):
    """Writes the page, and returns its path."""
    refuse_settings(overrides)
    if len(options.runs) == 1:
        if options.output:
            raise KitError("--output: the page of one run stands in its folder; expected several runs")
        path = finished.report(options.runs[0])
        print(f"page  {path}")
        return {"folder": options.runs[0], "page": str(path)}
    path, table = finished.compare(options.runs, options.output)
    if not options.json:
        print(terminal.printable_frame(table).to_string(index=False))
        print(f"page  {path}")
    return {"page": str(path), "runs": table.to_dict("records")}
