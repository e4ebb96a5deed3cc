"""Scores of rankings: hit rate, NDCG, reciprocal rank, with intervals over users; popularity and item neighbours."""

import numpy as np

from kit.reporting.statistics import bootstrap


def ranks(scores, targets):
    """Returns the rank of an item of each row, from 1; of several equal scores the middle of their ranks.

    Järvelin and Kekäläinen, "Cumulated Gain-based Evaluation of IR Techniques", 2002, for what is made of them.

    Args:
        scores: (rows, items), minus infinity where an item is left out.
        targets: Column of the item, (rows,), -1 of one that is no column; its rank is infinite.

    Returns:
        Ranks (rows,), which may be halves.
    """
    own = np.take_along_axis(scores, np.maximum(targets, 0)[:, None], axis=1)  # (rows, 1)
    higher, equal = (scores > own).sum(1), (scores == own).sum(1)
    return np.where(targets < 0, np.inf, higher + (equal + 1) / 2)


def gains(rank, k):
    """Returns what each rank is worth: hit rate at k, NDCG at k (one item is right), reciprocal rank, (rows, 3)."""
    hit = rank <= k
    with np.errstate(divide="ignore"):
        return np.stack([hit, np.where(hit, 1 / np.log2(1 + rank), 0.0), 1 / rank], axis=1)


NAMES = ("hit_rate_at_{k}", "ndcg_at_{k}", "mrr")


def mean_with_interval(values, users, samples):
    """Returns the mean of what rows are worth and its 95 % interval over users drawn with replacement.

    Args:
        values: (rows, scores)
        users: User of each row, (rows,): those of one are drawn together.
        samples: Draws behind the interval.

    Returns:
        Mean, lower and upper end, each (scores,).
    """
    _, owner = np.unique(users, return_inverse=True)
    sums = np.zeros((owner.max() + 1, 1 + values.shape[1]))
    np.add.at(sums, owner, np.concatenate([np.ones((len(values), 1)), values], axis=1))
    low, high = bootstrap(sums, lambda found: found[:, 1:] / found[:, :1], samples)
    return values.mean(0), low, high


def matrix(histories, num_items):
    """Returns which user has taken which item as a sparse matrix (users, items), items numbered from 1.

    Args:
        histories: Numbers of each user's items.
        num_items: Number of items.
    """
    from scipy import sparse

    lengths = [len(own) for own in histories]
    columns = np.concatenate([np.asarray(own, "int64") for own in histories]) - 1
    rows = np.repeat(np.arange(len(histories)), lengths)
    found = sparse.csr_matrix((np.ones(len(columns), "float32"), (rows, columns)), (len(histories), num_items))
    found.data[:] = 1.0
    return found


def popularity(taken):
    """Returns how many users have taken each item, (items,), given the matrix of training."""
    return np.asarray(taken.sum(0)).ravel()


def neighbours(taken, most=100):
    """Returns the cosines of each item with its nearest ones by who has taken them, a sparse matrix (items, items).

    Sarwar, Karypis, Konstan and Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms", 2001.

    Args:
        taken: Matrix of training, see `matrix`.
        most: Neighbours of an item.
    """
    from scipy import sparse
    from sklearn.neighbors import NearestNeighbors

    items = taken.T.tocsr()
    count = min(most, items.shape[0] - 1)
    distances, found = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute").fit(items).kneighbors()
    rows = np.repeat(np.arange(items.shape[0]), count)
    return sparse.csr_matrix((1 - distances.ravel(), (found.ravel(), rows)), (items.shape[0], items.shape[0]))


def deciles(frequencies):
    """Returns the tenth that each item is in by popularity, 1 for the most popular, each with as many interactions.

    Args:
        frequencies: How often each item was taken, (items,).
    """
    order = np.argsort(-frequencies, kind="stable")
    shares = np.cumsum(frequencies[order]) - frequencies[order] / 2
    found = np.empty(len(frequencies), int)
    found[order] = np.minimum((10 * shares / max(frequencies.sum(), 1)).astype(int), 9) + 1
    return found


def biases(ratings, items, users, num_items, num_users, strength=5.0):
    """Returns the mean of ratings, and how far those of each item and each user are from it, drawn towards 0.

    Koren, "Factorization Meets the Neighborhood", 2008, section 2.1.

    Args:
        ratings: (interactions,)
        items, users: Row of item and user of each, (interactions,).
        num_items, num_users: Number of items and users.
        strength: Ratings of nobody that are added to those of each.
    """
    mean = float(ratings.mean())
    rest, found = ratings - mean, []
    for rows, count in ((items, num_items), (users, num_users)):
        own = np.bincount(rows, rest, count) / (strength + np.bincount(rows, minlength=count))
        found.append(own)
        rest = rest - own[rows]
    return mean, *found
