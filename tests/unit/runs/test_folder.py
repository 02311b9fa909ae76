"""What ``load`` gives back: a network that says what it takes, and takes nothing else."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

import nas_lightning
from nas_lightning.errors import InputError
from nas_lightning.export.contract import InputDescription
from nas_lightning.files import write_json, write_torch
from nas_lightning.graph.fold import fold
from nas_lightning.space.reference import ReferenceBlueprint
from nas_lightning.tasks import Classes, Classification

ABOUT = InputDescription(
    "0.2",
    "abc",
    Classes(("idle", "wave")),
    shape=(3, 16),
    channels=("x", "y", "z"),
    window=16,
    stride=8,
    sampling_rate=50.0,
)


@pytest.fixture
def folder(tmp_path):
    blueprint = ReferenceBlueprint((2, 3), 3, Classification(3, 16, 2))
    write_json(tmp_path / "model.json", blueprint.to_dict())
    write_torch(tmp_path / "model.pt", blueprint.build().state_dict())
    write_json(tmp_path / "input.json", ABOUT.to_dict())
    return tmp_path


def test_a_network_says_what_it_takes(folder):
    network = nas_lightning.load(folder)
    assert isinstance(network, nn.Module)
    assert not network.training
    assert network.description == copy.deepcopy(network).description == ABOUT
    assert (
        network.state_dict().keys()
        == ReferenceBlueprint((2, 3), 3, Classification(3, 16, 2)).build().state_dict().keys()
    )


@pytest.mark.parametrize(
    "shape", [(2, 1, 16), (2, 2, 16), (2, 3, 15), (2, 3, 32), (2, 3, 16, 2), (3, 16), (16,)], ids=str
)
def test_samples_of_another_shape_are_refused(folder, shape):
    network = nas_lightning.load(folder)
    with pytest.raises(InputError) as error:
        network(torch.zeros(shape))
    assert str(error.value) == (
        f"x: found shape {list(shape)}; the network takes [B, 3, 16]: rows, of windows of 16 rows of the channels "
        "x, y, z"
    )


def test_samples_of_its_shape_are_taken(folder):
    network, x = nas_lightning.load(folder), torch.randn(4, 3, 16)
    assert network(x).shape == (4, 2)
    torch.testing.assert_close(network(x[..., None]), network(x))
    torch.testing.assert_close(fold(network)(x), network(x), rtol=1e-4, atol=1e-4)
    assert network(x[:0]).shape == (0, 2)


def test_a_run_of_an_older_version_has_no_description(folder):
    (folder / "input.json").unlink()
    network = nas_lightning.load(folder)
    assert network.description is None
    assert network(torch.zeros(1, 3, 20)).shape == (1, 2)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', '{"a": NaN}'])
def test_a_damaged_description_is_named(folder, content):
    (folder / "input.json").write_text(content)
    with pytest.raises(InputError, match=r"input\.json"):
        nas_lightning.load(folder)


def test_a_description_of_a_newer_version_is_damage_and_an_older_one_is_not(folder):
    write_json(folder / "input.json", ABOUT.to_dict() | {"more": 1})
    with pytest.raises(InputError, match=r"input\.json.*its keys are not"):
        nas_lightning.load(folder)
    known = {key: value for key, value in ABOUT.to_dict().items() if key != "sampling_rate"}
    write_json(folder / "input.json", known)
    assert nas_lightning.load(folder).description == dataclasses.replace(ABOUT, sampling_rate=None)
