"""Whether a network rests on where a window begins: its answers on windows of ``val`` that are moved."""

import logging
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from nas_lightning.report.results import Alignment
from nas_lightning.runs.context import Run
from nas_lightning.space.base import Blueprint
from nas_lightning.space.readouts import keeps_position
from nas_lightning.training.evaluate import predict

log = logging.getLogger("nas_lightning")

_SHARE = 8
"""A window is moved by one of this many parts of it."""

_CLEAR = 1.96
"""How many standard deviations what is lost must be more than what is won."""


def alignment_of(
    run: Run, blueprint: Blueprint, network: nn.Module, outputs: Tensor, target: Tensor
) -> Alignment | None:
    """What moving windows of ``val`` changes; None if ``dataset.aligned`` says how they lie, or with a front end.

    A window is moved in both directions by an eighth; what it lacks then is its last or first value once more. Of both
    directions the worse one counts. It is ``clear`` that the network rests on the place if significantly more answers
    became worse than better (McNemar 1947, "Note on the sampling error of the difference between correlated proportions
    or percentages"; for answers that are right or wrong this is the same sum).

    Args:
        run: whose configuration and data are meant.
        blueprint: of the network.
        network: trained.
        outputs: of it on ``val`` ``[N, K]``.
        target: of ``val`` ``[N]``.
    """
    steps, task = run.task.length // _SHARE, run.task
    if run.config.dataset.aligned is not None or run.data.front_end.names or steps < 1:
        return None
    rewards = task.rewards(outputs, target)
    moved = [task.rewards(*predict(network, _moved(run.data.val_dataloader(), by))) for by in (steps, -steps)]
    worse = min(moved, key=lambda each: float(each.sum()))
    less = (rewards - worse).double()
    section = Alignment(
        steps=steps,
        metric=task.monitor,
        value=float(rewards.double().mean()),
        moved=float(worse.double().mean()),
        clear=float(less.sum()) > _CLEAR * max(1.0, float(less.square().sum())) ** 0.5,
    )
    if section.clear:
        log.warning("%s", sentence(section, keeps_position(getattr(blueprint, "readout", "mean"))))
    return section


def sentence(section: Alignment, can_be_other: bool) -> str:
    """What it means for who uses the network."""
    text = (
        f"windows that begin {section.steps} steps earlier or later are told worse: {section.metric} "
        f"{section.moved:.4f} on val instead of {section.value:.4f}; begin a window where those of the training "
        "begin, and say dataset.aligned=true if all do"
    )
    return text + ("; space.readout=mean rests less on the place" if can_be_other else "")


def _moved(batches: Iterable[tuple[Tensor, Tensor]], steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches ``[B, C, L]`` whose samples come so many steps later (earlier, if below 0)."""
    for x, y in batches:
        edge = x[..., :1] if steps > 0 else x[..., -1:]
        fill = edge.expand(*x.shape[:2], abs(steps))
        yield (torch.cat([fill, x[..., :-steps]], 2) if steps > 0 else torch.cat([x[..., -steps:], fill], 2)), y
