"""What every step of a run needs: configuration, data, limits and folder."""

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from nas_lightning.config.compose import source_of
from nas_lightning.config.records import Config
from nas_lightning.cost.budget import Budget
from nas_lightning.cost.exact import Numbers
from nas_lightning.cost.npu import MULTIPLE
from nas_lightning.data.protocol import SearchData
from nas_lightning.report.results import RunMetrics
from nas_lightning.runs.build import (
    build_budget,
    build_candidates,
    build_factors,
    build_numbers,
    build_ops,
    build_plan,
    build_recipe,
    build_size,
    build_strategy,
    build_wide_sizes,
)
from nas_lightning.runs.init import Init, read_init
from nas_lightning.runs.lengths import Lengths, in_full, lengths_of
from nas_lightning.search.derivation import draw_from
from nas_lightning.search.strategy import SearchPlan, Strategy
from nas_lightning.space.base import Blueprint
from nas_lightning.space.cells.size import Size
from nas_lightning.space.cells.sizing import choose_size, nearest_size
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.outlines import OutlineSpace
from nas_lightning.tasks import Task
from nas_lightning.training.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """What every stage needs: the configuration, the data after ``setup``, and the folder.

    Attributes:
        config: with the number of epochs in the place of null.
        data: after ``setup``.
        folder: of the run.
        warm_start: the checkpoints of another run of this size, from whose supernets the searches start.
        lengths: of the fits.
        is_open: whether a final training may end early, because nobody has said how many epochs it has.
    """

    config: Config
    data: SearchData
    folder: Path
    warm_start: Path | None = None
    lengths: Lengths = field(init=False)
    is_open: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_open", self.config.training.training_epochs is None)
        object.__setattr__(self, "lengths", lengths_of(self.config, self.data))
        object.__setattr__(self, "config", in_full(self.config, self.lengths))

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}  # the rest follows from it

    @property
    def task(self) -> Task:
        """What the data ask of a network."""
        return self.data.task

    @cached_property
    def budget(self) -> Budget:
        """What the network and its front end must not exceed together."""
        return build_budget(self.config)

    @cached_property
    def limits(self) -> Budget:
        """What the front end leaves of the budget to the network; its memory is static as well."""
        return self.budget.less(asdict(self.data.front_end_cost))

    @cached_property
    def numbers(self) -> Numbers:
        """How numbers are kept on the device."""
        return build_numbers(self.config)

    @property
    def size_share(self) -> float | None:
        """With ``nas_model_size=auto_cells`` the share of the budget that an average network of that size uses."""
        return self._sized[1]

    @cached_property
    def space(self) -> CellSpace | OutlineSpace:
        """What is searched."""
        if not self.config.searches_outlines:
            return CellSpace(self._sized[0], self.task, build_ops(self.config), self.numbers)
        multiple = 1 if self.config.device.npu_profile is None else MULTIPLE
        most = self.config.space.auto_params
        capped = self.limits if most is None else {"params": most, **self.limits}
        return OutlineSpace(self.task, capped, build_factors(self.config), self.numbers, multiple)

    def blueprint(self, architecture: Any) -> Blueprint:
        """What is trained of an architecture: an outline has the heads of all readouts that fit."""
        space: Any = self.space
        return space.shared(architecture) if self.config.searches_outlines else space.blueprint(architecture)

    @cached_property
    def strategy(self) -> Strategy:
        """The choices of its searches."""
        return build_strategy(self.config)

    @cached_property
    def plan(self) -> SearchPlan:
        """What is done with the strategy."""
        return build_plan(self.config)

    def draw(self, count: int) -> list[Any]:
        """So many different random architectures within the limits, if there are as many; they follow from the seed."""
        return draw_from(self.space, torch.Generator().manual_seed(self.config.seed), self.limits, count)

    @cached_property
    def init(self) -> Init | None:
        """What the final trainings start from, if that is the network of another run."""
        return read_init(self.config, self.data)

    @cached_property
    def recipe(self) -> Recipe:
        """How networks are trained."""
        made = build_recipe(self.config, self.task, self.data, self.folder, self.lengths.training)
        return replace(made, start=self.init)

    @cached_property
    def _sized(self) -> tuple[Size, float | None]:
        rest = (self.task, build_ops(self.config), self.numbers)
        if self.config.training.nas_model_size == "auto_cells":
            return choose_size(build_candidates(self.config), *rest, self.limits)
        size = build_size(self.config)
        if self.config.space.shape == "wide":
            return nearest_size(size, build_wide_sizes(self.config), *rest), None
        return size, None


def identity(config: Config) -> RunMetrics:
    """What ``metrics.json`` says of a run before anything is found."""
    preset = config.training.nas_model_size if config.training.nas_enabled else "model"
    return RunMetrics(preset=preset, dataset=source_of(config), seed=config.seed)
