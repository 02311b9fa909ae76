"""A strategy: the choices that make one search, as a record of small parts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from nas_lightning.errors import InputError
from nas_lightning.search.arch_step import ArchStep, FirstOrder
from nas_lightning.search.derivation import Derivation, Strongest
from nas_lightning.search.penalties import BudgetPull, CostPenalty, Penalty, RamPenalty, Regulariser
from nas_lightning.search.relaxation import Relaxation, Softmax

_SGD = partial(torch.optim.SGD, lr=0.025, momentum=0.9, weight_decay=3e-4)
_ADAM = partial(torch.optim.Adam, lr=0.01, betas=(0.5, 0.999), weight_decay=0.001)


def _penalties() -> dict[str, Penalty]:
    return {"cost": CostPenalty(), "budget": BudgetPull(), "ram": RamPenalty()}


@dataclass
class Strategy:
    """What a search does with alphas and weights; a file of ``conf/search`` is one call of this constructor.

    The defaults are those of ``conf/search/darts.yaml``.

    Attributes:
        name: goes into ``metrics.json``.
        relaxation: alphas to what the supernet computes in a step of training, and to op weights.
        arch_step: the loss that the alphas follow; None if they stay as they are.
        penalties: on what op weights cost, added to the loss of the alphas, by name.
        regularisers: of the alphas, added to it too, by name.
        derivation: the architectures, when the search ends.
        warmup: the share of the epochs, from 0 to 1, in which the weights learn alone.
        partial_channels: one of this many channels of a node goes through the operations.
        weight_optimizer: makes the optimizer of the weights from their parameters; SGD for ``Unrolled`` steps.
        weight_scheduler: makes its scheduler, stepped once an epoch; None for a cosine from its rate to 0.001.
        alpha_optimizer: makes the optimizer of the alphas.
        clip_norm: largest norm of the weights' gradient; None for any.
    """

    name: str = "darts"
    relaxation: Relaxation = field(default_factory=Softmax)
    arch_step: ArchStep | None = field(default_factory=FirstOrder)
    penalties: dict[str, Penalty] = field(default_factory=_penalties)
    regularisers: dict[str, Regulariser] = field(default_factory=dict)
    derivation: Derivation = field(default_factory=Strongest)
    warmup: float = 0.0
    partial_channels: int = 1
    weight_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = _SGD
    weight_scheduler: Callable[[Optimizer], LRScheduler] | None = None
    alpha_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = _ADAM
    clip_norm: float | None = 5.0

    def __post_init__(self) -> None:
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise InputError(f"`clip_norm`: found {self.clip_norm}; allowed: more than 0, or null")
        if not 0 <= self.warmup <= 1:
            raise InputError(f"`warmup`: found {self.warmup}; allowed: 0 to 1, a share of the epochs")
        if self.partial_channels < 1:
            raise InputError(f"`partial_channels`: found {self.partial_channels}; allowed: 1 or more")
        if self.partial_channels > 1 and self.draws_paths:
            raise InputError(
                f"`partial_channels`: found {self.partial_channels}; allowed: 1, because {self.name} runs paths"
            )
        if self.arch_step is not None and self.arch_step.needs_paths and not self.draws_paths:
            step = type(self.arch_step).__name__
            raise InputError(f"`arch_step`: {step} needs a `relaxation` that draws paths")
        if self.arch_step is not None and self.arch_step.through_weights:
            self._check_sgd()

    def _check_sgd(self) -> None:
        """A step through the weights knows that of SGD without extras."""
        made_by: Any = getattr(self.weight_optimizer, "func", self.weight_optimizer)
        if made_by is not torch.optim.SGD:
            raise InputError(f"`unrolled`: needs `weight_optimizer` to be torch.optim.SGD, found {made_by.__name__}")
        settings = getattr(self.weight_optimizer, "keywords", {})
        for name in ("nesterov", "dampening"):
            if settings.get(name):
                raise InputError(f"`weight_optimizer.{name}`: found {settings[name]}; `unrolled` knows no such step")

    @property
    def draws_paths(self) -> bool:
        """Whether the supernet runs one path a step."""
        return self.relaxation.draws_paths

    def new_scheduler(self, weight_optimizer: Optimizer, num_epochs: int) -> LRScheduler:
        """The schedule of the weights' rate in a search of so many epochs."""
        if self.weight_scheduler is None:
            return CosineAnnealingLR(weight_optimizer, num_epochs, eta_min=0.001)
        return self.weight_scheduler(weight_optimizer)


@dataclass(frozen=True)
class SearchPlan:
    """What a run does with a strategy; these keys stand in the section ``search`` as well.

    Attributes:
        trains: whether there is a supernet to train; if not, networks are drawn.
        num_seeds: how many searches are run, each from its own seed.
        vote: whether what several searches choose together is one of the candidates.
        on_collapse: what is done about a collapse, ``warn`` or ``switch`` (``callbacks.CollapseAlarm``).
        unrolled: second-order steps of the alphas if true: ``Unrolled`` in the place of ``FirstOrder``.
        prior: whether outlines are drawn in proportion to what was good on other data (``search.prior``).

    Raises:
        InputError: for another value of one of them.
    """

    trains: bool = True
    num_seeds: int = 1
    vote: bool = True
    on_collapse: str = "warn"
    unrolled: bool = False
    prior: bool = False

    def __post_init__(self) -> None:
        if self.num_seeds < 1:
            raise InputError(f"`num_seeds`: found {self.num_seeds}; allowed: 1 or more")
        if self.on_collapse not in ("warn", "switch"):
            raise InputError(f"`on_collapse`: found {self.on_collapse!r}; allowed: warn, switch")
