"""How far a first-order search step is from what this machine could do at best. One JSON line a size.

    python benchmarks/floor.py --sizes s,m,l,xl,xxl

The floor is the larger of two times. Arithmetic: every convolution of the cells, counted from the sizes, once forward,
once for the gradient of its input and once for that of its kernel, for both passes of a step, at the rate of a large
matrix product. Traffic: every node's value and its gradient written once and read by each consumer once, at the
bandwidth of a large copy. Statistics, pools, optimizers and Python are left out, so that no code can reach the floor.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from supernet_step import build_step, measure

from nas_lightning.config.compose import compose_config
from nas_lightning.runs.build import build_size
from nas_lightning.space.cells.size import Size

PASSES = 2  # the step of the alphas and the step of the weights
TAPS = 3 + 5 + 7


def best_of(function: Callable[[], object], repeats: int = 15) -> float:
    """The shortest time in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def machine() -> tuple[float, float]:
    """Floating point operations, and bytes copied (read and written), a second."""
    a, b = torch.randn(2, 1536, 1536)
    source = torch.randn(2**25)
    target = torch.empty_like(source)
    flops = 2 * a.shape[0] ** 3 / best_of(lambda: a @ b)
    return flops, 2 * 4 * source.numel() / best_of(lambda: target.copy_(source))


def work(size: Size, batch: int, length: int) -> tuple[float, float]:
    """Floating point operations and bytes of one step."""
    flops = values = 0.0
    num_nodes = size.nodes_per_layer
    for cell in size.plan():
        inputs = batch * -(-length // cell.in_stride)
        flops += 2 * cell.in_channels * cell.channels * inputs  # the 1x1 convolution
        values += cell.channels * inputs
        length = -(-length // (cell.in_stride * (2 if cell.is_reduction else 1)))
        steps = batch * length
        flops += 2 * TAPS * cell.channels**2 * steps * size.num_edges
        flops += 2 * cell.channels**2 * steps * num_nodes * cell.is_reduction  # skip_connect with stride 2
        values += cell.channels * steps * (num_nodes + size.fanout_concat)
    # Forward: write and read; backward: read value and gradient, write a gradient.
    return PASSES * 3 * flops, PASSES * 5 * 4 * values


def main() -> None:
    """Measure the machine and the step, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="s,m,l,xl,xxl")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.sizes.split(","):
        flops_rate, bytes_rate = machine()
        size = build_size(compose_config([f"nas_model_size={name}"]))
        flops, num_bytes = work(size, arguments.batch, arguments.length)
        step = build_step(name, "first", arguments.batch, arguments.length, 1)
        times = measure({"fast": step}, arguments.repeats, "cpu")["fast"]
        arithmetic_ms, traffic_ms = 1e3 * flops / flops_rate, 1e3 * num_bytes / bytes_rate
        floor_ms, fast_ms = max(arithmetic_ms, traffic_ms), statistics.median(times)
        row = {"size": name, "gflop": flops / 1e9, "gbyte": num_bytes / 1e9}
        row |= {"gflop_per_second": flops_rate / 1e9, "gbyte_per_second": bytes_rate / 1e9}
        row |= {"arithmetic_ms": arithmetic_ms, "traffic_ms": traffic_ms, "floor_ms": floor_ms, "fast_ms": fast_ms}
        row |= {"times_floor": fast_ms / floor_ms}
        rounded = {key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}
        print(json.dumps(rounded | {"threads": arguments.threads, "batch": arguments.batch}), flush=True)


if __name__ == "__main__":
    main()
