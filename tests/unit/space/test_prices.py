"""What is common to the prices of all spaces."""

import pytest
import torch

from nas_lightning.search.derivation import draw_from
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.outlines import OutlineSpace
from nas_lightning.tasks import Classification

TASK = Classification(5, 117, 3)  # of no other test, so that no part of it is in a cache
SPACES = {
    "cells": lambda: CellSpace(Size(4, 3, 3, 2, 2, readout="means_2"), TASK),
    "outlines": lambda: OutlineSpace(TASK, {"params": 1234}),
}


@pytest.mark.parametrize("kind", SPACES)
def test_a_price_draws_no_random_numbers_that_others_would_miss(kind):
    """Else the weights of what is built next would depend on what is in a cache."""
    before, space = torch.get_rng_state(), SPACES[kind]()
    (architecture,) = draw_from(space, torch.Generator().manual_seed(0), {"params": 100_000}, 1)
    space.check_feasible({"params": 100_000, "ram_bytes": 100_000})
    assert space.cost(architecture)["params"] > 0
    assert space.least("params", {}) > 0
    assert torch.equal(torch.get_rng_state(), before)
