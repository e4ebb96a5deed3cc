"""Python's own manual: the topics that `help()` shows, plain English about a programming language."""

from kit.data.sources import Documents

NAMES = ("manual",)


def read(source):
    """Returns the topics of Python's manual, which every installation of Python holds.

    Args:
        source: `manual`.
    """
    from pydoc_data.topics import topics

    names = sorted(topics)
    return Documents([topics[name] for name in names], [f"{source}:{name}" for name in names])
