"""Fixtures: small real data, and the configuration of a short run."""

import contextlib
import importlib
import math
import os
import warnings
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from aeon.datasets import load_classification
from jinja2 import BytecodeCache
from shared_builds import sharing
from shared_compositions import share_compositions
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning import progress
from nas_lightning.config.compose import compose_config
from nas_lightning.export import emulator, host

SHORT = ["training.nas_epochs=2", "training.training_epochs=2", "callbacks=none"]
SHORT += ["selection.candidates=1", "control.num_random=0", "export.int8=false"]  # no contest


# The networks are tiny: threads that wait for each other cost more than they give, most of all on a busy machine.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _no_lines_of_progress(monkeypatch):
    """How fast a machine is must not change what a test finds on stderr."""
    monkeypatch.setattr(progress, "_BETWEEN_LINES", math.inf)


@pytest.fixture(scope="session", autouse=True)
def _one_composition_of_each_choice():
    """Hydra composes twice for each command, in half of the time of what is only refused."""
    with pytest.MonkeyPatch.context() as patch:
        with contextlib.suppress(ImportError, AttributeError):  # a detail of Hydra
            share_compositions(importlib.import_module("hydra._internal.config_loader_impl"), patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_table_of_translations():
    """``torch.onnx`` makes its table of translations and a list of operators for each export, in more than half of its
    time; here they are made once.
    """
    with pytest.MonkeyPatch.context() as patch:
        with contextlib.suppress(ImportError, AttributeError):  # details of torch
            registry = importlib.import_module("torch.onnx._internal.exporter._registration").ONNXRegistry
            patch.setattr(registry, "from_torchlib", staticmethod(cache(registry.from_torchlib)))
            utils, name = importlib.import_module("torch._export.utils"), "_collect_all_valid_cia_ops_for_namespace"
            patch.setattr(utils, name, cache(getattr(utils, name)))
        yield


class Templates(BytecodeCache):
    """Compiled Jinja templates, in memory."""

    def __init__(self):
        self.known = {}

    def load_bytecode(self, bucket):
        if (bucket.key, bucket.checksum) in self.known:
            bucket.bytecode_from_string(self.known[bucket.key, bucket.checksum])

    def dump_bytecode(self, bucket):
        self.known[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


@pytest.fixture(scope="session", autouse=True)
def _one_compilation_of_each_template():
    """``emx-onnx-cgen`` compiles all its templates for each network, which takes a second; here that is done once."""
    with pytest.MonkeyPatch.context() as patch:
        with contextlib.suppress(ImportError, AttributeError):  # a detail of emx-onnx-cgen
            emitter = importlib.import_module("emx_onnx_cgen.codegen.c_emitter")
            patch.setattr(emitter, "Environment", partial(emitter.Environment, bytecode_cache=Templates()))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_build_of_each_program(tmp_path_factory):
    """Most tests of firmware compile the programs of the same few networks."""
    make = sharing(host.make, tmp_path_factory.mktemp("builds"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "make", make)
        patch.setattr(emulator, "make", make)
        yield


@pytest.fixture
def quiet_fits(recwarn):
    """In this test Lightning may say of a fit what holds for all of them: data in memory, and its own use of torch."""
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")


@pytest.fixture(scope="session")
def motions():
    """BasicMotions, from the aeon package: arrays ``[N, C, L]`` and labels 0 to 3."""
    (x_train, y_train), (x_test, y_test) = (load_classification("BasicMotions", split=s) for s in ("train", "test"))
    names, y_train = np.unique(y_train, return_inverse=True)
    return SimpleNamespace(
        x_train=x_train.astype(np.float32),
        y_train=y_train,
        x_test=x_test.astype(np.float32),
        y_test=np.searchsorted(names, y_test),
    )


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


@pytest.fixture(scope="session")
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
