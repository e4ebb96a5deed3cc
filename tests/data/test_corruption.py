import numpy as np
import pytest

from kit.data.corruption import corruption
from kit.errors import SettingError

GREY = np.full((8, 20, 20, 3), 128, "uint8")


def test_nothing_to_do():
    assert corruption(0) is None


def test_noise_has_the_asked_strength_and_stays_in_range():
    worse = corruption(0, noise=0.1)(0, GREY).numpy()
    assert worse.dtype == np.uint8 and worse.mean() == pytest.approx(128, abs=1)
    assert worse.std() == pytest.approx(25.5, rel=0.05)
    strong = corruption(0, noise=2.0)(0, GREY).numpy()
    assert strong.min() == 0 and strong.max() == 255


def test_blanked_pixels_are_blank_in_all_channels():
    worse = corruption(0, masking=0.3)(0, GREY).numpy()
    blank = (worse == 0).all(-1)
    assert (blank == (worse == 0).any(-1)).all()
    assert blank.mean() == pytest.approx(0.3, abs=0.03)
    assert (worse[~blank] == 128).all()


def test_a_step_gives_the_same_and_another_something_else():
    corrupt = corruption(3, noise=0.5, masking=0.1)
    first, again, other = corrupt(7, GREY), corrupt(7, GREY), corrupt(8, GREY)
    assert (first == again).numpy().all() and not (first == other).numpy().all()
    assert not (first == corruption(4, noise=0.5, masking=0.1)(7, GREY)).numpy().all()


@pytest.mark.parametrize(("settings", "said"), [({"noise": -1}, "noise"), ({"masking": 1}, "masking")])
def test_values_out_of_range(settings, said):
    with pytest.raises(SettingError, match=said):
        corruption(0, **settings)
