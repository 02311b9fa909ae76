"""Small networks with statistics as after training, their int8 forms, and their firmware."""

import random
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from random_networks import random_genotype, random_size, random_task
from torch import Tensor, nn

from nas_lightning.export.contract import InputDescription
from nas_lightning.export.firmware import Sources, Vectors, write_firmware
from nas_lightning.export.int8 import quantize
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.ops import OPS
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classes, Classification

BUILT_OPS = tuple(op for op in OPS if op != "none")
C99 = "-std=c99 -Wall -Wextra -Werror -ffp-contract=off -I."


@dataclass(frozen=True)
class Small:
    """A network, samples for it, and its ONNX forms."""

    network: nn.Module
    task: Classification
    samples: Tensor
    floats: ModelProto
    integer: ModelProto

    def logits(self, which: str = "integer") -> NDArray[np.float32]:
        """What ONNX Runtime computes for the samples."""
        return run_onnx(getattr(self, which).SerializeToString(), [self.samples]).numpy()

    def vectors(self) -> Vectors:
        """The samples, and what they give."""
        return Vectors(None, self.samples.numpy(), self.logits("floats"), self.logits())


def as_trained(network: nn.Module, samples: Tensor) -> nn.Module:
    """The network with the statistics of the samples, no weight that is 0 or 1, and logits around 0."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = None  # the mean over all batches, which here is one
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.randn_like(parameter) * 0.2
        network.train()(samples)
        network.eval().head.bias -= network(samples).mean(0)
    return network


def small(network: nn.Module, task: Classification, num_samples: int = 32) -> Small:
    """A network as trained, and quantized on its samples."""
    samples = torch.randn(num_samples, task.in_channels, task.length) + torch.randn(num_samples, task.in_channels, 1)
    samples *= 3 * (torch.rand(num_samples, 1, 1) + 0.5)
    floats = to_onnx(as_trained(network, samples), samples.shape[1:])
    return Small(network, task, samples, floats, quantize(floats, [samples]))


@cache
def random_small(seed: int) -> Small:
    """One with a random genotype of all operations."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    size, task = random_size(rng), random_task(rng)
    return small(Network(random_genotype(rng, size.nodes_per_layer), size, task), task)


@cache
def every_op() -> Small:
    """One with every operation at stride 1 and at stride 2."""
    torch.manual_seed(0)
    cell = tuple((op, 0) for op in BUILT_OPS)
    task = Classification(2, 21, 3)
    return small(Network(Genotype(cell, cell), Size(3, len(cell), 2, 1, len(cell)), task), task)


@cache
def with_twins() -> Small:
    """One in which two nodes take the same pool of one value, which is computed once."""
    torch.manual_seed(0)
    cell = (("avg_pool_3x1", 0), ("skip_connect", 0), ("avg_pool_3x1", 2), ("max_pool_3x1", 0))
    task = Classification(1, 32, 2)
    return small(Network(Genotype(cell, cell), Size(3, 4, 2, 1, 3), task), task)


@cache
def hard_to_place(form: str = "plain") -> Small:
    """One in which no plan that moves nothing has the size of what is alive: a copy of two values that lie apart."""
    cells = {
        "plain": (("conv_bn_relu_3x1", 0), ("conv_bn_relu_5x1", 0), ("conv_bn_relu_5x1", 1)),
        "separable": (("sep_conv_3x1", 0), ("sep_conv_7x1", 0)),
    }
    torch.manual_seed(0)
    cell, task = cells[form], Classification(1, 32, 2)
    normal = (("conv_bn_relu_3x1", 0),) * len(cell)
    return small(Network(Genotype(normal, cell), Size(3, len(cell), 2, 1, 2), task), task)


@cache
def hand_made(in_channels: int = 2, length: int = 12, num_classes: int = 3) -> Small:
    """The smallest: two convolutions and a max pool."""
    torch.manual_seed(0)
    task = Classification(in_channels, length, num_classes)
    return small(ConvNet(task, [2, 3], 3), task)


def write(
    made: Small,
    folder: Path,
    names: Iterable[str] | None = None,
    vectors: Vectors | None = None,
    description: InputDescription | None = None,
    prefix: str = "",
) -> Path:
    """Write the firmware into ``folder / "firmware"`` and return that."""
    names = tuple(f"class {i}" for i in range(made.task.num_classes)) if names is None else tuple(names)
    description = description or InputDescription("0.1", "abc", Classes(names))
    vectors = vectors or made.vectors()
    folder.mkdir(exist_ok=True)
    target = folder / "firmware"
    write_firmware(target, made.floats, made.integer, vectors, Sources(description, prefix=prefix))
    return folder / "firmware"


def gcc(*arguments: str | Path, cwd: Path, compiler: str = "gcc") -> str:
    """What a compiler that must not fail prints."""
    done = subprocess.run([compiler, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def path_without(folder: Path, *names: str) -> str:
    """A value for PATH with this machine's programs but those whose names start with one of ``names``."""
    folder.mkdir()
    for place in ("/usr/local/bin", "/usr/bin", "/bin"):
        for program in Path(place).glob("*"):
            link = folder / program.name
            if not program.name.startswith(names) and not link.is_symlink():
                link.symlink_to(program)
    assert all(shutil.which(name, path=str(folder)) is None for name in names)
    return str(folder)
