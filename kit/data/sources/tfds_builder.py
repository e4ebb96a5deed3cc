"""Opening a data set of tensorflow-datasets, with one line for whatever goes wrong."""

from kit.config import check_may_import
from kit.errors import KitError, SettingError, guess

PREFIX = "tfds:"


def opened(source):
    """Returns the builder of `tfds:NAME`, or `tfds:NAME/CONFIG:VERSION`.

    Raises:
        SettingError: there is no such data set.
    """
    import tensorflow_datasets as tfds

    name = source.removeprefix(PREFIX)
    try:
        namespace = tfds.core.naming.parse_builder_name_kwargs(name)[0].namespace
        if namespace:  # its data sets are code that is fetched
            check_may_import(source, f"{PREFIX}{namespace}", "source")
        return tfds.builder(name)
    except KitError:
        raise
    except tfds.core.registered.DatasetNotFoundError:
        raise SettingError(
            "source", f"tensorflow-datasets has no {name!r}{guess(name, tfds.list_builders())}"
        ) from None
    except Exception as error:
        raise SettingError("source", f"tensorflow-datasets cannot open {name!r} ({_short(error)})") from None


def prepare(builder, source):
    """Fetches a data set that is not there yet.

    Raises:
        KitError: it cannot be fetched.
    """
    if builder.data_path.exists():
        return
    _check_network(source)
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise KitError(f"{source}: cannot be fetched ({_short(error)})") from None


def has_network(timeout_seconds=5):
    """Tells whether tensorflow-datasets' storage can be reached; it would take minutes to notice by itself."""
    import socket

    try:
        socket.create_connection(("storage.googleapis.com", 443), timeout=timeout_seconds).close()
    except OSError:
        return False
    return True


def _check_network(source):
    if not has_network():
        raise KitError(f"{source}: not in tensorflow-datasets' folder, and there is no network to fetch it from")


def _short(error):
    return " ".join(str(error).split())[:120] or type(error).__name__
