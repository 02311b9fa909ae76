"""A random choice with the same share of each class: what scikit-learn draws, without its import of half a second."""

import math

import numpy as np


def stratified(y: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places to keep and to take, the same as ``sklearn.model_selection.train_test_split`` gives, in rising order.

    Args:
        y: class of each, ``[N]``.
        share: of those that are taken, rounded up.
        seed: of what is drawn.

    Raises:
        ValueError: if a class has fewer than two, or fewer than one of each class would be kept or taken.
    """
    classes, numbers, counts = np.unique(y, return_inverse=True, return_counts=True)
    num_taken = math.ceil(share * len(y))
    num_kept = len(y) - num_taken
    if counts.min() < 2 or min(num_kept, num_taken) < len(classes):
        raise ValueError("too few of a class")
    by_class = np.split(np.argsort(numbers, kind="mergesort"), np.cumsum(counts)[:-1])
    random = np.random.RandomState(seed)
    kept_counts = _shares(counts, num_kept, random)
    taken_counts = _shares(counts - kept_counts, num_taken, random)
    kept, taken = [], []
    for own, num_own_kept, num_own_taken in zip(by_class, kept_counts, taken_counts, strict=True):
        mixed = own[random.permutation(len(own))]
        kept.append(mixed[:num_own_kept])
        taken.append(mixed[num_own_kept : num_own_kept + num_own_taken])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(taken))


def _shares(counts: np.ndarray, total: int, random: np.random.RandomState) -> np.ndarray:
    """So many of each class as its share of ``total``; where shares are equally near to one more, chance decides."""
    exact = counts / counts.sum() * total
    found = np.floor(exact)
    rest, remainders = int(total - found.sum()), exact - found
    for value in np.sort(np.unique(remainders))[::-1]:
        if rest <= 0:
            break
        nearest = np.flatnonzero(remainders == value)
        chosen = random.choice(nearest, size=min(len(nearest), rest), replace=False)  # nosec B311 # no secret
        found[chosen] += 1
        rest -= len(chosen)
    return found.astype(int)
