"""Time and memory of one search step: the supernet that runs against the textbook one. One JSON line a case.

    python benchmarks/supernet_step.py --sizes s,m,l
    python benchmarks/supernet_step.py --sizes m --orders unrolled --batch 64 --length 128 --kernels torch

A step is what a search does per batch: one step of the alphas on one batch, one step of the weights on another, with
the default strategy's losses, penalty, clipping and optimizers, but without Lightning and without loading data.

The textbook is written as common DARTS code is: series are ``[B, C, L, 1]``, convolutions 2-D of width one, one module
per operation and edge, and each of the two backward passes computes the gradients of alphas and weights alike.
``ratio`` is its time over ours. ``textbook_1d_ms`` (with --one-dimensional) is the same on ``[B, C, L]``.
"""

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.config.compose import compose_config
from nas_lightning.kernels.choice import KERNELS
from nas_lightning.runs.build import build_size, build_strategy
from nas_lightning.search.arch_step import AlphaLoss
from nas_lightning.search.moment import Moment
from nas_lightning.search.penalties import Objective
from nas_lightning.space.cells.compiled import training_pass
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.tasks import Classification

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracle.textbook import TextbookSupernet  # the tests have it, and are no package

NUM_CLASSES = 4
ORDERS = ("first", "unrolled")


class Textbook2d(TextbookSupernet):
    """The textbook supernet on ``[B, C, L, 1]``: every layer of the cells is its 2-D sibling, of width one."""

    def __init__(self, size: Size, task: Classification, ops: tuple[str, ...]) -> None:
        super().__init__(size, task, ops)
        _make_2d(self.cells)

    def forward(self, x: Tensor, op_weights: Any) -> Tensor:
        """Logits ``[B, K]``."""
        x = self.stem(x)[..., None]
        for cell, kind in zip(self.cells, self.kinds, strict=True):
            x = cell(x, op_weights[kind])
        return self.head(x.mean((2, 3)))


def _make_2d(parent: nn.Module) -> None:
    for name, child in parent.named_children():
        if isinstance(child, nn.Conv1d):
            assert isinstance(child.padding, tuple)
            kernel, stride, padding = (child.kernel_size[0], 1), (child.stride[0], 1), (child.padding[0], 0)
            dilation, channels = (child.dilation[0], 1), (child.in_channels, child.out_channels)
            conv = nn.Conv2d(*channels, kernel, stride, padding, dilation, child.groups, bias=False)
            setattr(parent, name, conv)
        elif isinstance(child, nn.BatchNorm1d):
            setattr(parent, name, nn.BatchNorm2d(child.num_features, affine=child.affine))
        elif isinstance(child, nn.AvgPool1d):
            setattr(parent, name, nn.AvgPool2d((3, 1), (child.stride[0], 1), (1, 0), count_include_pad=False))
        elif isinstance(child, nn.MaxPool1d):
            setattr(parent, name, nn.MaxPool2d((3, 1), (child.stride, 1), (1, 0)))
        else:
            _make_2d(child)


def build_step(
    size: str,
    order: str,
    batch: int,
    length: int,
    in_channels: int,
    post_reduction_stride: int = 1,
    *,
    side: str = "fast",
    kernels: str = "auto",
    overrides: tuple[str, ...] = (),
    device: str = "cpu",
) -> Callable[[], None]:
    """One whole search step as a callable without arguments.

    Args:
        size: a preset, ``s`` to ``xxl``.
        order: ``first`` or ``unrolled``.
        batch: samples a batch.
        length: time steps.
        in_channels: of the series.
        post_reduction_stride: 1 or 2.
        side: ``fast``, or ``textbook`` (2-D) or ``textbook_1d``.
        kernels: of the fast side, one of ``KERNELS``.
        overrides: further settings, for example ``training.nas_layers=6``.
        device: where it runs.
    """
    settings = [f"nas_model_size={size}", f"search.unrolled={str(order == 'unrolled').lower()}"]
    config = compose_config([*settings, f"space.post_reduction_stride={post_reduction_stride}", *overrides])
    task, outline, strategy = (
        Classification(in_channels, length, NUM_CLASSES),
        build_size(config),
        build_strategy(config),
    )
    torch.manual_seed(0)
    ops = tuple(config.space.ops)
    if side == "fast":
        supernet: Any = Supernet(outline, task, ops, kernels)
    else:
        supernet = (Textbook2d if side == "textbook" else TextbookSupernet)(outline, task, ops)
    supernet.to(device)
    run = training_pass(supernet) if side == "fast" else supernet
    space = CellSpace(outline, task, ops)
    alphas, weights = list(supernet.alphas.values()), list(supernet.weights().values())
    sgd, adam = strategy.weight_optimizer(weights), strategy.alpha_optimizer(alphas)
    batches = [
        (torch.randn(batch, in_channels, length, device=device), torch.randint(NUM_CLASSES, (batch,), device=device))
        for _ in range(2)
    ]

    def alpha_loss() -> AlphaLoss:
        moment, penalties = Moment(0.5, torch.Generator(), space), strategy.penalties.values()
        return AlphaLoss(supernet, run, strategy.relaxation, penalties, [], Objective(space), moment, sgd)

    arch_step: Any = strategy.arch_step

    def freeze(parameters: list[nn.Parameter], frozen: bool) -> None:
        if side == "fast":  # the textbook computes all gradients in both steps
            for parameter in parameters:
                parameter.requires_grad_(not frozen)

    def step() -> None:
        train, val = batches
        adam.zero_grad()
        if order == "unrolled":
            loss, _ = arch_step(alpha_loss(), train, val)
            for alpha, gradient in zip(alphas, torch.autograd.grad(loss, alphas), strict=True):
                alpha.grad = gradient
        else:
            freeze(weights, True)
            arch_step(alpha_loss(), train, val)[0].backward()
            freeze(weights, False)
        adam.step()
        sgd.zero_grad()
        freeze(alphas, True)
        x, y = train
        nn.functional.cross_entropy(
            run(x, strategy.relaxation.settled(dict(supernet.alphas.items()), space)), y
        ).backward()
        freeze(alphas, False)
        nn.utils.clip_grad_norm_(weights, strategy.clip_norm)
        sgd.step()

    return step


def measure(steps: dict[str, Callable[[], None]], repeats: int, device: str) -> dict[str, list[float]]:
    """Milliseconds of each step, all sides in turn, after one step each that is not counted."""

    def timed(step: Callable[[], None]) -> float:
        start = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - start)

    for step in steps.values():
        timed(step)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            found[name].append(timed(step))
    return found


def peak_mib(arguments: argparse.Namespace, size: str, order: str, side: str) -> float:
    """What a process with this step alone has at its peak above what it had before, in MiB."""
    call = [sys.executable, __file__, "--sizes", size, "--orders", order, "--kernels", arguments.kernels]
    call += ["--batch", str(arguments.batch), "--length", str(arguments.length), "--threads", str(arguments.threads)]
    call += ["--channels", str(arguments.channels), "--device", arguments.device, "--memory-of", side]
    call += ["--post-reduction-stride", str(arguments.post_reduction_stride), *arguments.overrides]
    return float(subprocess.run(call, check=True, capture_output=True, text=True).stdout)


def _memory_of(arguments: argparse.Namespace, size: str, order: str) -> float:
    def peak() -> float:
        if arguments.device == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        status = Path("/proc/self/status")  # not getrusage, whose figure a process inherits from the one that starts it
        if status.is_file():
            return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    # A tiny step first, so that what the libraries themselves take is there already.
    _step_of(arguments, size, order, arguments.memory_of, batch=2, length=32)()
    before = peak()
    step = _step_of(arguments, size, order, arguments.memory_of)
    for _ in range(2):
        step()
    return peak() - before


def _step_of(arguments: argparse.Namespace, size: str, order: str, side: str, **changes: int) -> Callable[[], None]:
    shape = {"batch": arguments.batch, "length": arguments.length, "in_channels": arguments.channels} | changes
    return build_step(
        size,
        order,
        **shape,
        post_reduction_stride=arguments.post_reduction_stride,
        side=side,
        kernels=arguments.kernels,
        overrides=tuple(arguments.overrides),
        device=arguments.device,
    )


def main() -> None:
    """Print one JSON line per size and order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="s,m,l,xl,xxl")
    parser.add_argument("--orders", default="first")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--post-reduction-stride", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--kernels", default="auto", choices=KERNELS)
    parser.add_argument("--one-dimensional", action="store_true")
    parser.add_argument("--no-textbook", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="settings, for example training.nas_layers=6")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for size in arguments.sizes.split(","):
        for order in arguments.orders.split(","):
            if arguments.memory_of:
                print(_memory_of(arguments, size, order))
                return
            print(json.dumps(_case(arguments, size, order)), flush=True)


def _case(arguments: argparse.Namespace, size: str, order: str) -> dict[str, Any]:
    sides = ["fast"] + ["textbook"] * (not arguments.no_textbook) + ["textbook_1d"] * arguments.one_dimensional
    steps = {side: _step_of(arguments, size, order, side) for side in sides}
    times = measure(steps, arguments.repeats, arguments.device)
    row: dict[str, Any] = {"size": size, "order": order}
    for side in reversed(sides):
        row[f"{side}_ms"] = round(statistics.median(times[side]), 2)
    if "textbook" in times:
        ratios = sorted(slow / fast for slow, fast in zip(times["textbook"], times["fast"], strict=True))
        row |= {"ratio": round(statistics.median(ratios), 2)}
        row |= {"ratio_low": round(ratios[0], 2), "ratio_high": round(ratios[-1], 2)}
    if not arguments.no_memory:
        for side in reversed(sides):
            row[f"peak_mib_{side}"] = round(peak_mib(arguments, size, order, side), 1)
    row |= {"threads": arguments.threads, "device": arguments.device, "kernels": arguments.kernels}
    row |= {"batch": arguments.batch, "length": arguments.length, "channels": arguments.channels}
    return row | {"repeats": arguments.repeats}


if __name__ == "__main__":
    main()
