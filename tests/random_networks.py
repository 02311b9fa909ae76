"""Random genotypes, sizes and tasks, and networks whose channels are scaled apart."""

import random

import torch
from torch import Tensor, nn

from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.size import Size
from nas_lightning.space.ops import OPS
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classification

ALL_OPS = tuple(OPS)


def random_genotype(rng: random.Random, num_nodes: int, ops: tuple[str, ...] = ALL_OPS) -> Genotype:
    """A genotype drawn evenly."""
    kept = [op for op in ops if op != "none"]

    def cell() -> tuple[tuple[str, int], ...]:
        return tuple((rng.choice(kept), rng.randrange(node)) for node in range(1, num_nodes + 1))

    return Genotype(cell(), cell())


def has_twins(genotype: Genotype) -> bool:
    """Whether two nodes take the same pool of one value, perhaps through identities; the network computes it once."""
    for cell in (genotype.normal, genotype.reduce):
        same = {0: 0}
        for node, (op, source) in enumerate(cell, start=1):
            same[node] = same[source] if op == "skip_connect" else node
        pools = [(op, same[source]) for op, source in cell if "pool" in op]
        if len(set(pools)) < len(pools):
            return True
    return False


def random_size(rng: random.Random, most_nodes: int = 4) -> Size:
    """A small size."""
    num_nodes = rng.randint(1, most_nodes)
    return Size(
        layers=rng.choice([3, 4, 7]),
        nodes_per_layer=num_nodes,
        init_channels=rng.choice([1, 2, 3]),
        init_channel_multiplier=rng.choice([1, 3]),
        fanout_concat=rng.randint(1, num_nodes),
        post_reduction_stride=rng.choice([1, 2]),
    )


def random_task(rng: random.Random) -> Classification:
    """A small task of an even or odd length."""
    return Classification(rng.choice([1, 3]), rng.choice([31, 32, 57]), rng.choice([2, 5]))


@torch.no_grad()
def scale_apart(network: ConvNet, factors: Tensor) -> None:
    """Multiply the channels of a ``ConvNet`` and divide the weights that read them: the same function."""
    convs = [module for module in network.modules() if isinstance(module, nn.Conv1d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)][1:]
    for bn, reader in zip(norms, [*convs[1:], network.head], strict=True):
        bn.weight *= factors
        bn.bias *= factors
        reader.weight /= factors[:, None] if reader.weight.dim() == 3 else factors
