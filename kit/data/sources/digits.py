"""scikit-learn's handwritten digits: 1,797 real 8x8 images that need no download.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998 (CC BY 4.0).
"""

import numpy as np

from kit.data.sources import Images

NAMES = ("digits",)


def read(source):
    """Returns the digits; their 17 grey levels are spread over 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype("uint8")[..., None]
    return Images(
        pixels=pixels,
        labels=digits.target.astype("int32"),
        class_names=[str(name) for name in digits.target_names],
        names=[f"digit {row}" for row in range(len(pixels))],
    )
