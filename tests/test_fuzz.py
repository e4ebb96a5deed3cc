"""Settings that nobody should give are refused in one line, or do no harm: `fuzz.py` over all recipes."""

import pytest

from kit import recipes
from tests import fuzz

_TRIES, _REHEARSED = 200, 8
NAMES = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in recipes.names()]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_any_settings_are_refused_in_one_line_or_accepted(name):
    found = list(fuzz.tries(name, _TRIES, 0))
    accepted = [each for each in found if each.fault is None and each.refused is None]
    assert len(found) > 0.9 * _TRIES and 0.1 * _TRIES < len(accepted) < 0.9 * _TRIES
    further = [fuzz.rehearsed(each) for each in fuzz.spread(accepted, _REHEARSED, 0)]
    assert not [str(each) for each in (*found, *further) if each.fault]


def test_a_try_that_is_refused_badly_is_a_fault():
    assert fuzz.resolved("dqn", {"train.epochs": fuzz.config.Text("no")}).fault is None
    assert "names no setting" in fuzz._fault_of("something is wrong", {"train.epochs": "no"})
    assert "not one line" in fuzz._fault_of("train.epochs: no\nnumber", {"train.epochs": "no"})


def test_the_same_seed_makes_the_same_tries():
    first, again, other = (list(fuzz.tries("gan", 5, seed)) for seed in (0, 0, 1))
    assert first == again != other
