"""Time of one training step of a fixed network: the compiled kernel against PyTorch. One JSON line a case.

    python benchmarks/training_step.py --sizes s m l xl --lengths 140 500

A step is a pass forward and back and a step of AdamW, without Lightning and without loading data; the networks are
random ones of the size. Both sides take turns; ``ratio`` is the median of the rounds' ratios, with the smallest and the
largest.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_lightning.config.compose import compose_config
from nas_lightning.runs.build import build_size
from nas_lightning.search.derivation import draw_within
from nas_lightning.search.moment import Moment
from nas_lightning.space.cells.compiled import compile_network
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.ops import DEFAULT_OPS
from nas_lightning.tasks import Classification


def build_step(network: Network, forward: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Callable[[], None]:
    """One step of training."""
    optimizer = torch.optim.AdamW(network.parameters(), 0.01, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(forward(x), y).backward()
        optimizer.step()

    return step


def milliseconds(step: Callable[[], None], count: int) -> float:
    """Of one step, the mean of several."""
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count * 1000


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=["s", "m", "l"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[140])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="of a round")
    options = parser.parse_args()
    for name in options.sizes:
        for length in options.lengths:
            task, size = Classification(1, length, 5), build_size(compose_config([f"nas_model_size={name}"]))
            moment = Moment(1.0, torch.Generator().manual_seed(0), CellSpace(size, task, DEFAULT_OPS))
            (genotype,) = draw_within(moment, {}, 1)
            torch.manual_seed(0)
            x, y = torch.randn(options.batch, 1, length), torch.randint(5, (options.batch,))
            network, other = Network(genotype, size, task), Network(genotype, size, task)
            compiled = compile_network(other, task, "native")
            assert compiled is not None
            sides = build_step(network, network, x, y), build_step(other, compiled, x, y)
            for step in sides:
                milliseconds(step, 3)
            rounds = [[milliseconds(step, options.steps) for step in sides] for _ in range(options.rounds)]
            ratios = [torch_ms / compiled_ms for torch_ms, compiled_ms in rounds]
            row = {"size": name, "length": length, "batch": options.batch}
            row |= {"macs": moment.space.cost(genotype)["macs"]}
            for side, times in zip(("torch_ms", "compiled_ms"), zip(*rounds, strict=True), strict=True):
                row[side] = round(statistics.median(times), 2)
            row |= {"ratio": round(statistics.median(ratios), 2)}
            row |= {"smallest": round(min(ratios), 2), "largest": round(max(ratios), 2)}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
