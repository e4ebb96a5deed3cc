"""Memory that does not suffice: one line that names the settings whose numbers are likely to be too large."""

import contextlib
import re
import sys

from kit import config
from kit.errors import KitError, SettingError

# What NumPy, TensorFlow and Keras say of arrays that are too large, each in its own kind of error.
_SAID = re.compile(
    r"unable to allocate|out of memory|OOM when allocating|failed to allocate|array is too big|too many elements"
    r"|maximum allowed (size|dimension) exceeded|more than 2\*\*63|overflow when multiplying",
    re.IGNORECASE,
)
# What TensorFlow makes of an error of ours in a pipeline.
_SAID_BY_OURS = re.compile(r"^kit\.errors\.\w+: (.+)$", re.MULTILINE)
# Numbers that take time, not memory.
_NO_SIZES = re.compile(r"(.*_)?(epochs?|patience|seed|steps_per_epoch)|.*(warmup|decay|update).*")


@contextlib.contextmanager
def in_memory(offered, tables):
    """Turns a failure to allocate inside into one line that names the settings which ask for most.

    What reading data has said inside a pipeline of TensorFlow, of a damaged file say, is said as it was.

    Args:
        offered: Function from flat settings to the list of `Setting`, with the names of their tables.
        tables: The settings, table by table.

    Raises:
        SettingError: what is made inside does not fit into memory.
        KitError: data cannot be read.
    """
    try:
        yield
    except KitError:
        raise
    except Exception as error:
        said = _SAID_BY_OURS.search(str(error))
        if said and _is_of_tensorflow(error):
            raise KitError(said[1]) from None
        if not is_about_memory(error):
            raise
        flat = config.flatten(tables)
        key, others = _largest(offered(flat), flat)
        raise SettingError(key, f"does not fit into memory; expected a smaller number{others}") from None


def is_about_memory(error):
    """Tells whether an error says that something is too large for memory, whatever library raised it."""
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    if isinstance(error, MemoryError) or (errors and isinstance(error, errors.ResourceExhaustedError)):
        return True
    is_one = isinstance(error, ValueError | OverflowError) or (errors and isinstance(error, errors.OpError))
    return bool(is_one and _SAID.search(str(error)))


def _is_of_tensorflow(error):
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    return bool(errors and isinstance(error, errors.OpError))


def _largest(offered, flat):
    """Returns the setting whose whole numbers are the most times as large as by default, and the next ones in words."""
    found = []
    for setting in offered:
        most, usual = (_most(value) for value in (flat.get(setting.key), setting.default))
        if most >= 2 * max(usual, 1) and not _NO_SIZES.fullmatch(setting.key.rpartition(".")[2]):
            found.append((most / max(usual, 1), setting.key, flat[setting.key]))
    found.sort(key=lambda each: -each[0])
    if not found:
        return "memory", " of train.batch_size, or smaller inputs"
    others = ", or of ".join(key for _, key, _ in found[1:3])
    return found[0][1], f" than {found[0][2]!r}" + (f", or of {others}" if others else "")


def _most(value):
    """Returns the greatest whole number of a value, also inside lists; 0 where it has none."""
    if isinstance(value, list | tuple):
        return max(map(_most, value), default=0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
