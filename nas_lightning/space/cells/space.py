"""The cells of the user guide as a search space."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import cast

from matplotlib.figure import Figure
from torch import Tensor, nn

from nas_lightning.cost.exact import Numbers
from nas_lightning.errors import InputError
from nas_lightning.space import base
from nas_lightning.space.base import Choice, Limits, OpWeights, Projected
from nas_lightning.space.cells.blueprint import CellBlueprint
from nas_lightning.space.cells.compiled import training_pass
from nas_lightning.space.cells.expected import ExpectedCost
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.projection import check_feasible, least, project
from nas_lightning.space.cells.size import SIZES, Size
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.space.ops import DEFAULT_OPS
from nas_lightning.tasks import Task


class CellSpace(SpaceCost):
    """All networks of a size, as a ``SearchSpace``: two kinds of cell, whose nodes choose an input and an operation.

    >>> from nas_lightning.tasks import Classification
    >>> list(CellSpace("s", Classification(1, 32, 2)).decisions)
    ['normal', 'reduce']

    Args:
        size: the outline, or the name of a preset of the guide.
        task: input channels, length and classes.
        ops: the operations.
        numbers: bits, core and allowances; None for 8 bits.

    Raises:
        InputError: for a preset that is unknown.
    """

    Architecture = Genotype

    def __init__(
        self, size: Size | str, task: Task, ops: Sequence[str] = DEFAULT_OPS, numbers: Numbers | None = None
    ) -> None:
        if isinstance(size, str) and size not in SIZES:
            raise InputError(f"CellSpace: found size {size!r}; allowed: {', '.join(SIZES)}, or a Size")
        super().__init__(SIZES[size] if isinstance(size, str) else size, task, tuple(ops), numbers)

    @property
    def total_stride(self) -> int:
        """Steps of the input behind one step of the last cell."""
        return self.size.total_stride

    def blueprint(self, architecture: Genotype) -> CellBlueprint:
        """The description of a network, which builds it."""
        return CellBlueprint(architecture, self.size, self.task)

    def picture(self, architecture: Genotype) -> Figure:
        """Both kinds of cell as graphs."""
        return self.blueprint(architecture).picture()

    def expected(self, op_weights: OpWeights, measure: str) -> Tensor:
        """The expectation of a measure, see ``ExpectedCost``."""
        return self._expected(op_weights, measure)

    @cached_property
    def _expected(self) -> ExpectedCost:
        return ExpectedCost(self)

    def project(self, op_weights: OpWeights, limits: Limits) -> Projected[Genotype]:
        """The genotype with the largest total log op-weight among all that meet every limit, exactly.

        Raises:
            BudgetError: if no genotype meets them.
        """
        return project(op_weights, self, limits)

    def least(self, measure: str, limits: Limits) -> int | None:
        """The smallest value of a measure that a network within the other limits has; None if there is none."""
        return least(measure, self, limits)

    def check_feasible(self, limits: Limits) -> None:
        """Refuse limits that no network meets.

        Raises:
            BudgetError: with the limits that bind, and the nearest that can be met.
        """
        check_feasible(self, limits)

    def supernet(self, alphas: nn.ParameterDict, partial: int = 1, kernels: str = "auto") -> Supernet:
        """All its networks at once."""
        return Supernet(self.size, self.task, self.ops, kernels, alphas, partial)

    def training_pass(self, supernet: base.Supernet) -> Callable[[Tensor, Choice], Tensor]:
        """What computes a supernet in training."""
        return training_pass(cast(Supernet, supernet))
