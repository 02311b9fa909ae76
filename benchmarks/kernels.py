"""Time of one training step by kind of layer: the compiled kernel against PyTorch, on one thread. One JSON line a case.

    python benchmarks/kernels.py --rounds 7 --steps 5
    python benchmarks/kernels.py --only lite --shapes 1x500

A step is a pass forward and back and a step of AdamW on a batch of 32, without Lightning and without loading data. Both
sides take turns, and times are those of the process on its core, so that other work on the machine counts little;
``ratio`` is the median of the rounds' ratios, with the smallest and the largest.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from training_step import build_step

from nas_lightning.config.compose import compose_config
from nas_lightning.runs.build import build_size
from nas_lightning.search.derivation import draw_within
from nas_lightning.search.moment import Moment
from nas_lightning.space.cells.compiled import compile_network
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.ops import DEFAULT_OPS
from nas_lightning.space.readouts import READOUTS
from nas_lightning.space.trunk import Block, Trunk
from nas_lightning.tasks import Classification


def lite(width: int, stride: int = 1) -> list[Block]:
    """A long first convolution and two separable ones that are dilated, as in LITE (arXiv 2409.02869)."""
    first = Block("full", width, 41, stride)
    return [first, Block("separable", width, 21, dilation=2), Block("separable", width, 11, dilation=4)]


def outline(stride: int) -> list[Block]:
    """A strided first convolution before full ones of few taps."""
    return [Block("full", 12, 9, stride), Block("full", 16, 7, 2), Block("full", 20, 5), Block("full", 20, 5)]


def separable(stride: int) -> list[Block]:
    """A strided first convolution before separable ones of 21 taps."""
    return [Block("full", 16, 21, stride), Block("separable", 24, 21), Block("separable", 24, 21)]


TRUNKS = {
    "lite_32": (lite(32), "mean"),
    "lite_16": (lite(16), "mean"),
    "lite_8": (lite(8), "mean"),
    "depthwise_41": ([Block("full", 16, 1), Block("depthwise", 16, 41), Block("depthwise", 16, 41)], "mean"),
    "separable_21": (separable(1), "mean"),
    "separable_41": ([Block("full", 16, 41), Block("separable", 24, 41)], "mean"),
    "separable_stem_2": (separable(2), "mean"),
    "separable_stem_4": (separable(4), "mean"),
    "full_stem_1": (outline(1), "mean"),
    "full_stem_2": (outline(2), "mean"),
    "full_stem_4": (outline(4), "mean"),
    **{f"readout_{name}": (separable(2), name) for name in (*READOUTS, "mean+means_2+means_4")},
}


def milliseconds(step: Callable[[], None], count: int) -> float:
    """Of one step on its core, the mean of several."""
    start = time.process_time()
    for _ in range(count):
        step()
    return (time.process_time() - start) / count * 1000


def preset(name: str, task: Classification) -> Network:
    """A random network of a preset's size."""
    size = build_size(compose_config([f"nas_model_size={name}"]))
    moment = Moment(1.0, torch.Generator().manual_seed(0), CellSpace(size, task, DEFAULT_OPS))
    (genotype,) = draw_within(moment, {}, 1)
    return Network(genotype, size, task)


def row_of(name: str, channels: int, length: int, rounds: int, steps: int) -> dict[str, object]:
    """The figures of one network."""
    task = Classification(channels, length, 5)
    torch.manual_seed(0)
    networks = [preset(name, task) if name in ("s", "m") else Trunk(task, *TRUNKS[name]) for _ in range(2)]
    compiled = compile_network(networks[1], task, "native")
    assert compiled is not None
    x, y = torch.randn(32, channels, length), torch.randint(5, (32,))
    assert compiled.serves(x)
    sides = build_step(networks[0], networks[0], x, y), build_step(networks[1], compiled, x, y)
    for step in sides:
        milliseconds(step, 2)
    times = [[milliseconds(step, steps) for step in sides] for _ in range(rounds)]
    ratios = [torch_ms / compiled_ms for torch_ms, compiled_ms in times]
    row: dict[str, object] = {"network": name, "shape": f"{channels}x{length}"}
    row["params"] = sum(parameter.numel() for parameter in networks[0].parameters())
    for side, own in zip(("torch_ms", "compiled_ms"), zip(*times, strict=True), strict=True):
        row[side] = round(statistics.median(own), 2)
    row |= {"ratio": round(statistics.median(ratios), 2)}
    return row | {"smallest": round(min(ratios), 2), "largest": round(max(ratios), 2)}


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=["s", "m", *TRUNKS], help="networks, or how their names begin")
    parser.add_argument("--shapes", nargs="+", default=["1x500", "3x128"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="of a round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in ("s", "m", *TRUNKS):
        if not any(name == only or name.startswith(f"{only}_") for only in options.only):
            continue
        for shape in options.shapes:
            channels, length = map(int, shape.split("x"))
            print(json.dumps(row_of(name, channels, length, options.rounds, options.steps)), flush=True)


if __name__ == "__main__":
    main()
