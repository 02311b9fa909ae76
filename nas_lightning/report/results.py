"""What a run found, as records: ``metrics.json`` is a ``RunMetrics``; ``cost.json`` is in ``report.costs``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nas_lightning.files import plain
from nas_lightning.report.costs import CostReport
from nas_lightning.tasks import Details, Figures
from nas_lightning.tasks.confidence import CalibrationError, Rejection
from nas_lightning.tasks.smoothing import Smoothed


@dataclass(frozen=True, kw_only=True)
class SearchSummary:
    """The section ``search``: sums over all searches."""

    strategy: str
    seconds: float
    epochs: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """The section ``seeds``: how far searches from different seeds agree.

    Attributes:
        seeds: of the searches.
        epochs: of the short training of the best network of each.
        values: of ``testing.metric`` on val after it.
        mean: of the values.
        std: of the values.
        range: from the smallest value to the largest.
        allowed_range: what sampling alone explains.
        agreement: by kind of cell, for each edge the share of the searches with the most common strongest operation;
            None if op weights say nothing.
        verdict: ``stable`` or ``unstable``.
    """

    seeds: tuple[int, ...]
    epochs: int
    values: tuple[float, ...]
    mean: float
    std: float
    range: float
    allowed_range: float
    agreement: dict[str, tuple[float, ...]] | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a value stands among those of random networks.

    Attributes:
        rank: the best is 1.
        mean: of the others; None if there are none.
        interval: the 95 % interval of that mean; None for fewer than two.
        verdict: ``won``, ``lost`` or ``undecided``.
    """

    rank: int
    mean: float | None
    interval: tuple[float, float] | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A hand-made network beside the one that was found, after as many epochs."""

    name: str
    params: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Control(Standing):
    """The section ``control``: the first candidate held against random networks.

    Attributes:
        metric: that is compared.
        epochs: of each short training.
        found: the value of the candidate on val.
        random: those of the random networks, the best first.
        references: hand-made networks.
        kept: ``found`` or ``random``.
        seconds: of these trainings.
        sentence: all this in words.
        params: of the candidate, which need not be the network that is kept; None in files of older versions.
    """

    metric: str
    epochs: int
    found: float
    random: tuple[float, ...]
    references: tuple[Reference, ...]
    kept: str
    seconds: float
    sentence: str
    params: int | None = None


@dataclass(frozen=True, kw_only=True)
class FinalTraining:
    """One final training: of which candidate, and what came of it on val; None if it diverged.

    Attributes:
        network: the number of the candidate.
        params: of the network.
        value: of the metric.
        seconds: that it took.
        loss: on val.
        words: what the network is.
    """

    network: int
    params: int
    value: float | None
    seconds: float
    loss: float | None = None
    words: str | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The section ``selection``: the final trainings, the index of the one that is kept, and by which figure it is."""

    metric: str
    trainings: tuple[FinalTraining, ...]
    kept: int
    score: str | None = None


@dataclass(frozen=True, kw_only=True)
class InitSummary:
    """The section ``init`` of a run that goes on with the network of another one.

    Attributes:
        folder: of the other run.
        head: ``kept``, or ``fresh`` where the classes are others.
        trained: ``all``, or ``head`` where nothing else is trained.
        kept: how many numbers are those of the other run at the start.
    """

    folder: str
    head: str
    trained: str
    kept: int


@dataclass(frozen=True, kw_only=True)
class TrainingSummary:
    """The section ``training``: seconds of all final trainings, and the kept epoch of the best; the first is 1."""

    seconds: float
    epochs: int
    best_epoch: int


@dataclass(frozen=True, kw_only=True)
class OnnxParity:
    """The section ``onnx``: by how much ``model.onnx`` differs from the network on a split."""

    split: str
    max_difference: float


@dataclass(frozen=True, kw_only=True)
class Int8Report:
    """The section ``int8``: the method, and what each method that was tried gave on val."""

    method: str
    tried: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class FirmwareReport:
    """The section ``firmware``: what was found when the C files were run on a split.

    Attributes:
        split: whose samples were run.
        int8_samples: that were equal bit for bit.
        float_max_difference: of the float C from the network.
        front_end_tolerance: what the C of the front end may differ by; None without one.
        front_end_max_difference: what it differs by.
        decisions: windows of which the C decided what the run decides; None where the largest logit decides.
    """

    split: str
    int8_samples: int
    float_max_difference: float
    front_end_tolerance: float | None = None
    front_end_max_difference: float | None = None
    decisions: int | None = None


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """The section ``confidence``: how far scores can be trusted; ``*_int8`` is the int8 network.

    Attributes:
        temperature: that divides logits before their softmax, fitted on val.
        bound: ``least`` or ``most`` if it is at a bound.
        threshold: the least score that is accepted; None accepts all.
        calibration_error: by split.
        rejection: by split, where there is a threshold, or samples of no class.
    """

    temperature: float
    bound: str | None = None
    threshold: float | None = None
    calibration_error: dict[str, CalibrationError]
    rejection: dict[str, Rejection] | None = None


@dataclass(frozen=True, kw_only=True)
class Postprocess:
    """The section ``postprocess``: how successive windows decide together.

    Attributes:
        method: that is kept.
        windows: that decide together.
        tried: on val, the simplest first.
        splits: what is kept, by split.
    """

    method: str
    windows: int
    tried: tuple[Smoothed, ...]
    splits: dict[str, Smoothed]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How much a network rests on where a window begins, on ``val``.

    Attributes:
        steps: by which windows were moved.
        metric: which figure.
        value: of windows as they are.
        moved: of moved ones, in the worse of both directions.
        clear: whether significantly more answers became worse than better.
    """

    steps: int
    metric: str
    value: float
    moved: float
    clear: bool


@dataclass(frozen=True, kw_only=True)
class RunMetrics:
    """The content of ``metrics.json``; a section that is None is left out."""

    preset: str
    dataset: str | None
    seed: int
    init: InitSummary | None = None
    search: SearchSummary | None = None
    seeds: Seeds | None = None
    control: Control | None = None
    val: Figures | None = None
    test: Figures | None = None
    selection: Selection | None = None
    training: TrainingSummary | None = None
    alignment: Alignment | None = None
    onnx: OnnxParity | None = None
    val_int8: Figures | None = None
    test_int8: Figures | None = None
    int8: Int8Report | None = None
    confidence: Confidence | None = None
    postprocess: Postprocess | None = None
    firmware: FirmwareReport | None = None
    front_end: str | None = None
    samples: dict[str, int] | None = None
    val_details: Details | None = None
    test_details: Details | None = None
    val_int8_details: Details | None = None
    test_int8_details: Details | None = None

    def figures(self, split: str) -> Figures:
        """Those of ``val``, ``test``, ``val_int8`` or ``test_int8``.

        Raises:
            KeyError: if there are none.
        """
        found: Figures | None = getattr(self, split)
        if found is None:
            raise KeyError(split)
        return found

    def with_figures(self, by_split: Mapping[str, Figures]) -> "RunMetrics":
        """The same with the figures of some splits."""
        changes: dict[str, Any] = dict(by_split)
        return replace(self, **changes)

    def with_details(self, by_split: Mapping[str, Details]) -> "RunMetrics":
        """The same with what the figures of some splits are made of."""
        changes: dict[str, Any] = {f"{split}_details": details for split, details in by_split.items()}
        return replace(self, **changes)

    def details(self, split: str) -> Details | None:
        """What the figures of ``val``, ``test``, ``val_int8`` or ``test_int8`` are made of; None if nobody asked."""
        found: Details | None = getattr(self, f"{split}_details")
        return found

    @property
    def tested(self) -> str:
        """The split whose figures count: ``test``, or ``val`` where nothing was tested."""
        return "val" if self.test is None else "test"

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Of each stage that took place, in their order."""
        stages = {"search": self.search, "control": self.control, "training": self.training}
        return {name: stage.seconds for name, stage in stages.items() if stage is not None}


@dataclass(frozen=True)
class ComparedFrontEnd:
    """One of several front ends: the figure on val and the cost with its network, or why it was left out."""

    name: str
    val: float | None = None
    cost: dict[str, int] = field(default_factory=dict)
    why_not: str | None = None


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        folder: with its files.
        metrics: the content of ``metrics.json``; without training there is no split in it.
        cost: the content of ``cost.json``.
    """

    folder: Path
    metrics: RunMetrics
    cost: CostReport

    def to_dict(self) -> dict[str, Any]:
        """The answer of a run to a program: the folder, and what both files hold."""
        return {"folder": str(self.folder.absolute()), "metrics": plain(self.metrics), "cost": plain(self.cost)}


@dataclass(frozen=True)
class SweepResult:
    """What a sweep left.

    Attributes:
        folder: with the folders of its runs.
        rows: of its table, by column; what a run does not have is an empty text.
    """

    folder: Path
    rows: tuple[dict[str, str | int | float], ...]

    def to_dict(self) -> dict[str, Any]:
        """The answer of a sweep to a program: the folder, and the rows with null for what a run does not have."""
        runs = [{column: None if value == "" else value for column, value in row.items()} for row in self.rows]
        return {"folder": str(self.folder.absolute()), "runs": runs}
