"""The stratified choice against that of scikit-learn."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from nas_lightning.data.stratified import stratified

SHARES = (0.05, 0.1, 0.25, 1 / 3, 0.37, 0.5, 0.9)


def theirs(y, share, seed):
    kept, taken = train_test_split(np.arange(len(y)), test_size=share, stratify=y, random_state=seed)
    return np.sort(kept), np.sort(taken)


def outcome(function, *arguments):
    """What a function gives, as lists; None if it refuses."""
    try:
        return [places.tolist() for places in function(*arguments)]
    except ValueError:
        return None


def test_the_choice_is_that_of_scikit_learn():
    random, chosen = np.random.default_rng(0), 0
    for case in range(400):
        y = random.integers(0, random.integers(2, 7), random.integers(2, 90)) * int(random.integers(1, 3))
        arguments = (y, SHARES[case % len(SHARES)], int(random.integers(0, 2**31)))
        expected = outcome(theirs, *arguments)
        assert outcome(stratified, *arguments) == expected, arguments
        chosen += expected is not None
    assert 100 < chosen < 400


@pytest.mark.parametrize("y", [[0, 0, 0, 1], [0, 0, 1, 1, 2, 2, 3, 3]], ids=["one of a class", "few taken"])
def test_too_few_of_a_class_are_refused(y):
    with pytest.raises(ValueError, match="too few"):
        stratified(np.array(y), 0.25, 0)
