"""Rankings: by hand, with ties, unknown items, intervals over users, and the simple rankings beside a network."""

import numpy as np
import pytest

from kit.scoring import ranking


def test_ranks_and_gains_by_hand():
    scores = np.array([[0.5, 3.0, 1.0, -np.inf], [2.0, 2.0, 2.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    rank = ranking.ranks(scores, np.array([2, 0, -1]))
    assert rank.tolist() == [2, 2, np.inf]  # of three that are equal the middle one
    gains = ranking.gains(rank, 2)
    np.testing.assert_allclose(gains[0], [1, 1 / np.log2(3), 1 / 2])
    np.testing.assert_allclose(gains[2], [0, 0, 0])
    np.testing.assert_allclose(ranking.gains(rank, 1)[0], [0, 0, 1 / 2])
    assert ranking.gains(np.array([1.0]), 1).tolist() == [[1, 1, 1]]


def test_equal_scores_are_worth_no_hit():
    """Who scores all items alike has none among the first, whichever item it is."""
    scores = np.zeros((50, 50))
    assert (ranking.ranks(scores, np.arange(50)) == 25.5).all()


def test_intervals_are_over_users():
    draw = np.random.default_rng(0)
    values = draw.random((200, 3))
    one_each = ranking.mean_with_interval(values, np.arange(200), 500)
    np.testing.assert_allclose(one_each[0], values.mean(0))
    assert (one_each[1] < one_each[0]).all() and (one_each[0] < one_each[2]).all()
    copied = ranking.mean_with_interval(np.repeat(values, 10, 0), np.repeat(np.arange(200), 10), 500)
    np.testing.assert_allclose(copied[1], one_each[1])  # ten rows of each user tell no more than one


def test_neighbours_are_cosines_of_columns():
    histories = [[1, 2], [1, 2, 3], [3, 4], [4]]
    taken = ranking.matrix(histories, 4)
    assert taken.toarray().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]]
    assert ranking.popularity(taken).tolist() == [2, 2, 2, 2]
    dense = taken.toarray()
    norms = np.linalg.norm(dense, axis=0)
    expected = dense.T @ dense / norms / norms[:, None] - np.eye(4)
    np.testing.assert_allclose(ranking.neighbours(taken, 3).toarray(), expected, atol=1e-6)
    nearest = ranking.neighbours(taken, 1).toarray()
    assert ((nearest > 0).sum(0) == 1).all() and nearest[1, 0] == pytest.approx(1.0)


def test_tenths_hold_as_many_interactions():
    frequencies = np.array([1, 90, 2, 3, 4])
    tenths = ranking.deciles(frequencies)
    assert tenths[1] < tenths[4] <= tenths[3] <= tenths[2] <= tenths[0] == 10
    even = ranking.deciles(np.full(100, 5))
    assert np.bincount(even)[1:].tolist() == [10] * 10


def test_biases_are_drawn_towards_nothing():
    ratings, items, users = np.array([5.0, 5.0, 1.0, 1.0]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    mean, of_items, of_users = ranking.biases(ratings, items, users, 3, 2, strength=2)
    assert mean == 3 and of_items.tolist() == [1.0, -1.0, 0.0] and of_users.tolist() == [0.0, 0.0]
