"""What a search space is: decisions among options, and networks that they make.

A space says what there is to decide, in tables. Op weights are one tensor ``[rows, options]`` a table, and a decision
keeps one entry of its rows. What a search does with op weights stands in ``choices`` and holds for every space.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from torch import Tensor, nn

from nas_lightning.tasks import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA_VERSION = 1
"""Of the description of a network."""

A = TypeVar("A")
"""An architecture of a space: frozen, hashable, and plain values for JSON."""

OpWeights = Mapping[str, Tensor]
"""Op weights by the name of a table, each ``[rows, options]``."""

Limits = Mapping[str, int]
"""Measure to the largest value allowed."""

Picks = Mapping[str, tuple[tuple[int, int], ...]]
"""By the name of a table, row and column of what each of its decisions keeps."""


@dataclass(frozen=True)
class Decisions:
    """A table of decisions among the same options.

    Attributes:
        options: the names of the columns.
        rows: the names of the rows.
        of: the rows of each decision, which keeps one entry of them.
        nothing: the column of the option that no decision keeps, as it stands for no connection; None without one.
        free: the columns of options without parameters.
    """

    options: tuple[str, ...]
    rows: tuple[str, ...]
    of: tuple[range, ...]
    nothing: int | None = None
    free: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Path(Generic[A]):
    """One network of a supernet, run alone with the supernet's weights: as fast as that network.

    Attributes:
        architecture: the network.
        gates: by table ``[decisions]``, by which the values of what they keep are multiplied; None for 1.
    """

    architecture: A
    gates: Mapping[str, Tensor] | None = None


Choice = OpWeights | Path[Any]
"""What a supernet computes: a mixture of all options, or one path."""


@dataclass(frozen=True)
class Projected(Generic[A]):
    """An architecture within a budget.

    Attributes:
        architecture: the one with the largest total log op-weight among all that meet the limits.
        cost: all its measures.
        log_weight: its total log op-weight.
        free_cost: all measures of the choice without limits.
        free_log_weight: its total log op-weight.
    """

    architecture: A
    cost: dict[str, int]
    log_weight: float
    free_cost: dict[str, int]
    free_log_weight: float


def meets(cost: Mapping[str, int], limits: Limits) -> bool:
    """Whether costs, by measure, are within all limits."""
    return all(cost[measure] <= limit for measure, limit in limits.items())


class Supernet(nn.Module):
    """All networks of a space at once; ``forward(x, choice)`` maps ``[B, C, L]`` to outputs ``[B, num_outputs]``.

    Attributes:
        task: what its outputs are held against.
        alphas: by which it is searched; all other parameters are weights.
        kernels: what computes it, see ``kernels.choice``.
    """

    task: Task
    alphas: nn.ParameterDict
    kernels: str = "torch"

    def weights(self) -> dict[str, nn.Parameter]:
        """The named parameters that are not alphas."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("alphas.")}


class Blueprint(Protocol):
    """The plain description of a fixed network.

    Attributes:
        file: the name of the file in a run folder that holds it.
    """

    file: ClassVar[str]

    @property
    def task(self) -> Task:
        """What the data ask of it."""

    def build(self) -> nn.Module:
        """The network with fresh weights."""

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""

    def summary(self) -> list[tuple[str, str]]:
        """What it is, for a reader: names and words."""


def in_words(blueprint: Blueprint) -> str:
    """What a network is, in one line."""
    return "; ".join(f"{name} {words}" for name, words in blueprint.summary())


class DecisionSpace(Protocol[A]):
    """What there is to decide, and what architecture a decision makes."""

    @property
    def decisions(self) -> Mapping[str, Decisions]:
        """The tables by name."""

    def architecture(self, picks: Picks) -> A:
        """What the decisions make."""

    def picks(self, architecture: A) -> Picks:
        """The inverse."""


class PricedSpace(DecisionSpace[A], Protocol[A]):
    """Networks for one task, priced before they are built: what a search by trainings needs."""

    def blueprint(self, architecture: A) -> Blueprint:
        """The description of a network, which builds it."""

    def picture(self, architecture: A) -> "Figure | None":
        """The drawn architecture, if it can be drawn."""

    def cost(self, architecture: A) -> dict[str, int]:
        """All measures of a network."""

    def num_params(self, architecture: A) -> int:
        """The parameters of a network, the same as in ``cost``."""

    def project(self, op_weights: OpWeights, limits: Limits) -> Projected[A]:
        """The architecture with the largest total log op-weight among all that meet every limit.

        Raises:
            BudgetError: if no architecture meets them.
        """


class SearchSpace(PricedSpace[A], Protocol[A]):
    """Networks that are searched by a supernet, too."""

    @property
    def fixed(self) -> Mapping[str, int]:
        """By additive measure what every network has."""

    def largest(self, measure: str) -> float:
        """An additive measure of the dearest network, or a bound of it."""

    def expected(self, op_weights: OpWeights, measure: str) -> Tensor:
        """The expectation of a measure, a scalar, differentiable in the op weights; of one-hot ones the exact cost."""

    def supernet(self, alphas: nn.ParameterDict, partial: int = 1, kernels: str = "auto") -> Supernet:
        """All its networks at once.

        Args:
            alphas: by which it is searched.
            partial: one of this many channels goes through the options.
            kernels: what computes it.
        """

    def training_pass(self, supernet: Supernet) -> Callable[[Tensor, Choice], Tensor]:
        """What computes a supernet in training, differentiable once."""
