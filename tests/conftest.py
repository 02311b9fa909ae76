"""Fixtures: small real data, and the configuration of a short run."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning.config.compose import compose_config
from nas_lightning.data.readers import read_archive

SHORT = ["training.nas_epochs=2", "training.training_epochs=2", "callbacks=none"]


# The networks are tiny: threads that wait for each other cost more than they give, most of all on a busy machine.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def motions():
    """The recordings of BasicMotions, from the aeon package."""
    return read_archive("BasicMotions")


@pytest.fixture(scope="session")
def arrays(motions):
    """The same as the arrays of the npz format."""
    return {
        "X_train": motions.x_train,
        "y_train": motions.y_train,
        "X_test": motions.x_test,
        "y_test": motions.y_test,
    }


@pytest.fixture
def write_npz(tmp_path, arrays):
    """Write the arrays with changes (None drops one) and return the path."""

    def write(**changes) -> Path:
        content = {key: value for key, value in (arrays | changes).items() if value is not None}
        np.savez(tmp_path / "data.npz", **content)
        return tmp_path / "data.npz"

    return write


@pytest.fixture
def short_config():
    """Compose a short run with further overrides."""

    def compose(*overrides: str):
        return compose_config([*SHORT, *overrides])

    return compose


@pytest.fixture
def loaders(motions):
    """Plain DataLoaders over BasicMotions."""
    x, y = torch.from_numpy(motions.x_train), torch.from_numpy(motions.y_train)
    train, val = TensorDataset(x[::2], y[::2]), TensorDataset(x[1::2], y[1::2])
    return {"train_loader": DataLoader(train, 8, shuffle=True), "valid_loader": DataLoader(val, 8)}
