"""What a network costs, as a record: ``cost.json`` is a ``CostReport``."""

from dataclasses import asdict, dataclass

from nas_lightning.cost.decision import DecisionCost
from nas_lightning.cost.exact import MEASURES, Cost
from nas_lightning.cost.npu import NpuRow
from nas_lightning.data.features import FrontEndCost
from nas_lightning.export.emulator import Usage


@dataclass(frozen=True, kw_only=True)
class LimitReport:
    """A limit of the budget, and what network and front end have of it together."""

    limit: int
    value: int
    holds: bool


@dataclass(frozen=True, kw_only=True)
class ProgramSize:
    """The whole linked program, with start-up code and the arrays for a sample and its result."""

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int


@dataclass(frozen=True, kw_only=True)
class MeasuredFirmware(Usage):
    """The section ``measured`` of ``cost.json``: what the network took on an emulated core.

    Attributes:
        core: that was emulated.
        clock_mhz: of the device; None if it is not known.
        numbers: ``int8`` or ``float32``.
        compiler: and its version.
        program: the whole program.
        front_end: what the front end took.
        decision: what ``decision.c`` took for a window, its memory of windows before included.
        exceeds: by how many bytes the program exceeds each memory of the device; None if these are not known.
    """

    core: str
    clock_mhz: float | None
    numbers: str
    compiler: str
    program: ProgramSize
    front_end: Usage | None = None
    decision: Usage | None = None
    exceeds: dict[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class CostReport(Cost):
    """The content of ``cost.json``: the cost of the network, and what goes with it; what is None is left out.

    Attributes:
        latency_ms: of a sample, if each instruction took one cycle.
        front_end: the cost of the front end.
        device: whose budget it is.
        budget: each limit, and whether it holds.
        npu_report: each layer, and whether the NPU accelerates it.
        decision: what ``decision.c`` takes besides; no part of the sums that a budget limits.
        measured: what the firmware took.
    """

    latency_ms: float | None = None
    front_end: FrontEndCost | None = None
    device: str | None = None
    budget: dict[str, LimitReport] | None = None
    npu_report: tuple[NpuRow, ...] | None = None
    decision: DecisionCost | None = None
    measured: MeasuredFirmware | None = None

    def __post_init__(self) -> None:
        if any(count < 0 for count in self.total.values()):
            raise ValueError("a cost is no count")

    @property
    def total(self) -> dict[str, int]:
        """By measure what network and front end take together."""
        front_end = {} if self.front_end is None else asdict(self.front_end)
        return {measure: getattr(self, measure) + front_end.get(measure, 0) for measure in MEASURES}
