"""Time of pricing a space and of the projection onto budgets, on one core. One JSON line a size.

    python benchmarks/projection.py --sizes s,m,l,xl,xxl

``tables_ms`` is to price every choice of the space, from nothing; ``project_ms`` the median of projections of random op
weights onto random limits that a network meets, on one to four measures, and ``project_ms_high`` the slowest.
"""

import argparse
import json
import random
import statistics
import time

import torch

from nas_lightning.config.compose import compose_config
from nas_lightning.cost.exact import MEASURES
from nas_lightning.runs.build import build_ops, build_size
from nas_lightning.space.cells.genotype import KINDS
from nas_lightning.space.cells.projection import is_feasible, project
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.space.choices import strongest
from nas_lightning.tasks import Classification


def _case(name: str, length: int, num_projections: int) -> dict[str, float | str]:
    config = compose_config([f"nas_model_size={name}"])
    size, ops, rng = build_size(config), build_ops(config), random.Random(0)
    start = time.perf_counter()
    space_cost = SpaceCost(size, Classification(1, length, 4), ops)
    tables = time.perf_counter() - start
    times = []
    torch.manual_seed(0)
    while len(times) < num_projections:
        weights, others = ({kind: torch.randn(size.num_edges, len(ops)).softmax(1) for kind in KINDS} for _ in range(2))
        cost = space_cost.cost(strongest(others, space_cost))
        measures = rng.sample(MEASURES, rng.randint(1, 4))
        limits = {measure: int(cost[measure] * rng.uniform(0.6, 1)) for measure in measures}
        if not is_feasible(space_cost, limits):
            continue
        start = time.perf_counter()
        project(weights, space_cost, limits)
        times.append(1e3 * (time.perf_counter() - start))
    row: dict[str, float | str] = {"size": name, "tables_ms": round(1e3 * tables, 1)}
    row |= {"project_ms": round(statistics.median(times), 1), "project_ms_high": round(max(times), 1)}
    return row | {"projections": num_projections}


def main() -> None:
    """Print one JSON line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="s,m,l,xl,xxl")
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--projections", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.sizes.split(","):
        print(json.dumps(_case(name, arguments.length, arguments.projections)), flush=True)


if __name__ == "__main__":
    main()
