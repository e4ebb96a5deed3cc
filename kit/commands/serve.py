"""`kit serve`: finished runs over HTTP, with a JSON API and a page."""

from kit.errors import SettingError, shown
from kit.serving.server import serve

_NUMBERS = {"port": int, "batch_size": int, "max_text": int, "max_waiting": int, "max_upload": float, "timeout": float}


def run(options, overrides):
    """Serves runs until it is stopped; returns where it was."""
    for key in overrides:
        if not key.startswith("predict."):
            raise SettingError(
                key, "no setting of a server; expected those of the prediction, such as --predict.n_best 3"
            )
    numbers = {key: _number(key, kind, getattr(options, key)) for key, kind in _NUMBERS.items()}
    chosen = {key: value for key, value in numbers.items() if value is not None}
    settings = {key.removeprefix("predict."): value for key, value in overrides.items()}
    server = serve(options.runs, host=options.host, settings=settings, **chosen)
    return {"url": server.url, "runs": {name: str(folder) for name, folder in server.folders.items()}}


def _number(key, kind, text):
    """Returns a number of the command line, or None where there is none."""
    try:
        return None if text is None else kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise SettingError(key, f"expected {what}, got {shown(text)}") from None
