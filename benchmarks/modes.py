"""How far the modes Memory and Compute can be apart, given the same op weights. One JSON line a size.

    python benchmarks/modes.py --sizes s,m,l,xl,xxl

For random op weights the exact projection gives every network that is best under some limit on parameters, and every
one that is best under some limit on MACs. ``macs_saved``: by how many percent fewer MACs a network of the first kind
could have with a log op-weight at least as high, which is what ``Compute`` can win over ``Memory``; the median over
networks and draws, the mean, the largest. ``macs_differ``: the percent of networks for which it is not 0.
``params_saved`` and ``params_differ``: the same the other way round. ``..._bound`` is what no op weights exceed: the
largest difference of any two networks of the space of which one has no more parameters and the other no more MACs.
``correlation`` is that of parameters and MACs over random networks.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.config.compose import compose_config
from nas_lightning.runs.build import build_numbers, build_ops, build_size
from nas_lightning.space.base import Projected
from nas_lightning.space.cells.genotype import KINDS, Genotype
from nas_lightning.space.cells.projection import least, project
from nas_lightning.space.cells.size import rows_into
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.space.choices import strongest
from nas_lightning.space.ops import DEFAULT_OPS, OPS
from nas_lightning.tasks import Classification

AXES = ("params", "macs")
NETWORKS = 1000  # for the correlation


def _random_weights(space_cost: SpaceCost, std: float) -> dict[str, Tensor]:
    shape = (space_cost.size.num_edges, len(space_cost.ops))
    return {kind: (std * torch.randn(shape, dtype=torch.float64)).softmax(1) for kind in KINDS}


def _correlation(space_cost: SpaceCost) -> float:
    genotypes = [strongest(_random_weights(space_cost, 1), space_cost) for _ in range(NETWORKS)]
    sums = [[space_cost.cost(genotype)[axis] for genotype in genotypes] for axis in AXES]
    return float(np.corrcoef(sums)[0, 1])


def _front(weights: dict[str, Tensor], space_cost: SpaceCost, axis: str) -> list[Projected[Genotype]]:
    """Every network that no other beats in both log op-weight and an axis, from the free choice to the cheapest."""
    found = [project(weights, space_cost, {})]
    lowest = least(axis, space_cost, {})
    assert lowest is not None
    while found[-1].cost[axis] > lowest:
        found.append(project(weights, space_cost, {axis: found[-1].cost[axis] - 1}))
    return found


def _saved(front: list[Projected[Genotype]], other_front: list[Projected[Genotype]], other: str) -> list[float]:
    """By how many percent the networks of a front, but for the free choice, could have less on the other axis."""
    saved = []
    for network in front[1:]:
        as_good = [each.cost[other] for each in other_front if each.log_weight >= network.log_weight - 1e-9]
        saved.append(100 * (1 - min(as_good) / network.cost[other]))
    return saved


def _outer(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of ``[N, 2]`` that no other has both less of the first and more of the second than; by the first."""
    points = points[np.lexsort((-points[:, 1], points[:, 0]))]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(points[:, 1])[:-1]])
    return points[points[:, 1] > before]


def _bounds(space_cost: SpaceCost) -> dict[str, float]:
    """What no op weights exceed, by axis."""
    # By the node the few networks with many MACs for their parameters, and those with many parameters for their MACs.
    fixed = np.array([[space_cost.fixed[axis] for axis in AXES]], dtype=float)
    many_macs, many_params = fixed, fixed[:, ::-1]
    for kind in KINDS:
        columns = [i for i, op in enumerate(space_cost.ops) if op != "none"]
        for node in range(1, space_cost.size.nodes_per_layer + 1):
            choices = np.stack(
                [space_cost.tables[a][kind][list(rows_into(node))][:, columns].flatten().numpy() for a in AXES], 1
            )
            if node <= space_cost.size.nodes_per_layer - space_cost.size.fanout_concat:
                choices = np.concatenate([choices, np.zeros((1, 2))])  # it may be dead
            many_macs = _outer((many_macs[:, None] + choices).reshape(-1, 2))
            many_params = _outer((many_params[:, None] + choices[:, ::-1]).reshape(-1, 2))

    def largest(dear: NDArray[np.float64], cheap: NDArray[np.float64]) -> float:
        # `dear` and `cheap` agree on which axis is where: (the limited one, the other one); both ascend in both.
        partner = np.searchsorted(cheap[:, 0], dear[:, 0])  # the first with at least as much of the limited axis
        inside = partner < len(cheap)
        return float(100 * (1 - cheap[partner[inside], 1] / dear[inside, 1]).max())

    return {"macs": largest(many_macs, many_params[:, ::-1]), "params": largest(many_params, many_macs[:, ::-1])}


def _case(name: str, length: int, ops: Sequence[str], stride: int, draws: int, std: float) -> dict[str, float | str]:
    overrides = [f"nas_model_size={name}", f"space.ops=[{','.join(ops)}]", f"space.post_reduction_stride={stride}"]
    config = compose_config(overrides)
    start = time.perf_counter()
    space_cost = SpaceCost(build_size(config), Classification(1, length, 4), build_ops(config), build_numbers(config))
    torch.manual_seed(0)
    row: dict[str, float | str] = {"size": name, "length": length, "stride": stride, "num_ops": len(ops)}
    row["correlation"] = round(_correlation(space_cost), 5)
    saved: dict[str, list[float]] = {axis: [] for axis in AXES}
    for _ in range(draws):
        weights = _random_weights(space_cost, std)
        fronts = {axis: _front(weights, space_cost, axis) for axis in AXES}
        for axis, other in (AXES, AXES[::-1]):
            saved[other] += _saved(fronts[axis], fronts[other], other)
    bounds = _bounds(space_cost)
    for axis, values in reversed(saved.items()):
        figures = {"": statistics.median(values), "_mean": statistics.mean(values), "_max": max(values)}
        figures["_bound"] = bounds[axis]
        row |= {f"{axis}_saved{suffix}": round(figure, 2) for suffix, figure in figures.items()}
        row[f"{axis}_differ"] = round(100 * sum(value > 0 for value in values) / len(values))
    row["networks"] = sum(len(values) for values in saved.values())
    return row | {"seconds": round(time.perf_counter() - start, 1)}


def main() -> None:
    """Print one JSON line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="s,m,l,xl,xxl")
    parser.add_argument("--draws", type=int, default=100, help="of op weights")
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--ops", default="default", help="default, all, or names with commas")
    parser.add_argument("--stride", type=int, default=1, help="space.post_reduction_stride")
    parser.add_argument("--std", type=float, default=1.0, help="of the alphas")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ops = {"default": DEFAULT_OPS, "all": tuple(OPS)}.get(arguments.ops) or tuple(arguments.ops.split(","))
    for name in arguments.sizes.split(","):
        case = (name, arguments.length, ops, arguments.stride, arguments.draws, arguments.std)
        print(json.dumps(_case(*case)), flush=True)


if __name__ == "__main__":
    main()
