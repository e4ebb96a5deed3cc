"""Data sets of what Python makes: `tf.data.Dataset.from_generator`, and the memory that it would give back."""

import ctypes
import sys

# Numbers of two parameters of glibc's `mallopt`.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def generated(generator, signature):
    """Returns a `tf.data.Dataset` of what a generator yields.

    Args:
        generator: Function that returns an iterator of examples.
        signature: `tf.TensorSpec` of each part of an example.
    """

    import tensorflow as tf

    def examples():
        keep_memory()  # TensorFlow has set its own threshold by now
        yield from generator()

    return tf.data.Dataset.from_generator(examples, output_signature=signature)


def keep_memory():
    """Lets the process keep memory that it has freed, on Linux with glibc; elsewhere it does nothing.

    With the first such data set TensorFlow makes `malloc` give back whatever is free above 128 kB: every step then asks
    the system for its arrays again, page by page. Environment variables are of no use, since TensorFlow's setting comes
    later.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_MMAP_THRESHOLD, 32 << 20)
