"""The typed records of the configuration; their values stand in ``conf/``.

Sections and keys are those of the user guide. A group whose files call a constructor (``search``, ``optimizer``, ...)
is a plain dictionary with a ``_target_``. Records are frozen: ``with_values`` makes another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf

R = TypeVar("R")


@dataclass(frozen=True)
class Common:
    """``common``: what the run is."""

    task_type: str = MISSING
    run_name: str = MISSING
    config_dirs: list[str] = field(default_factory=list)  # options of the user's own; --config-dir adds one


@dataclass(frozen=True)
class Columns:
    """``dataset.columns``: the column of a table that has each role; every other column is a variable.

    A label of null says to ``predict`` that there is none, a group of null that there are no groups.
    """

    recording: str = MISSING
    time: str = MISSING
    label: str | None = MISSING
    group: str | None = MISSING
    split: str = MISSING


@dataclass(frozen=True)
class Dataset:
    """``dataset``: what is read, and how it is split."""

    dataset_name: str | None = None
    input_data_path: str | None = None
    missing: str = MISSING
    group_pattern: str | None = None
    columns: Columns = field(default_factory=Columns)
    split_type: str = MISSING
    split_factor: Any = MISSING
    annotations: str | None = None
    levels: list[str] | None = None
    label_pattern: str | None = None
    labels: str | None = None
    similar_labels: str | None = None
    recording_ends: str | None = None
    series_per_line: bool | None = None
    header: bool | None = None
    skip_rows: int | None = None
    delimiter: str | None = None
    decimal: str | None = None
    time_unit: str | None = None
    day_first: bool | None = None
    clock: str | None = None
    gaps: str = "cut"
    axes: str | None = None
    npy_time: bool | None = None
    array: str | None = None
    offset: Any = None
    unknown: str | None = None
    aligned: bool | None = None


@dataclass(frozen=True)
class FeatureExtraction:
    """``data_processing_feature_extraction``: what is made of the recordings; a preset of ``features`` fills it."""

    feature_extraction_name: str = MISSING
    variables: Any = None
    sampling_rate: float | None = None
    new_sr: float | None = None
    anti_alias: bool = MISSING
    keep_short_tails: bool = MISSING
    scale: float | None = None
    frame_size: int | None = None
    stride_size: float = MISSING
    feat_ext_transform: list[str] = MISSING
    feature_size_per_frame: int | None = None
    num_frame_concat: int = MISSING
    frame_skip: int = MISSING
    min_bin: int = MISSING
    analysis_bandwidth: int = MISSING
    normalize_bin: bool = MISSING
    dc_remove: bool = MISSING
    stacking: str = MISSING
    q15_scale_factor: int = MISSING
    log_mul: float = MISSING
    log_base: Any = MISSING
    log_threshold: float = MISSING
    fft_size: int = MISSING
    kurt_chunk_size: int = MISSING


@dataclass(frozen=True)
class Training:
    """``training``: the search (``nas_*``) and the training of the network that it finds."""

    enable: bool = MISSING
    training_epochs: int | None = None
    training_steps: int | None = None
    patience: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    norm_bias: float | None = None
    label_smoothing: float = MISSING
    class_weights: str = MISSING
    average_decay: float = MISSING
    clip_norm: float | None = None
    nas_enabled: bool = MISSING
    nas_epochs: int | None = None
    nas_steps: int | None = None
    nas_optimization_mode: str = MISSING
    nas_model_size: str = MISSING
    nas_layers: int = MISSING
    nas_nodes_per_layer: int = MISSING
    nas_init_channels: int = MISSING
    nas_init_channel_multiplier: int = MISSING
    nas_fanout_concat: int = MISSING
    nas_kernels: str = MISSING
    only_head: bool = False

    @property
    def size_is_chosen(self) -> bool:
        """Whether how large a network is follows from the budget."""
        return self.nas_model_size in ("auto", "auto_cells")


@dataclass(frozen=True)
class Testing:
    """``testing``: whether the test split is read at the end, and the figure that counts."""

    enable: bool = MISSING
    metric: str = MISSING


@dataclass(frozen=True)
class Compilation:
    """``compilation``: whether the network is made into firmware, and by what."""

    enable: bool = MISSING
    backend: str = MISSING


@dataclass(frozen=True)
class Finetune:
    """``export.finetune``: training with int8 rounding, the last remedy."""

    epochs: int | None = None
    steps: int = 500
    learning_rate: float = MISSING


@dataclass(frozen=True)
class Export:
    """``export``: what the exported files hold."""

    include_features: bool = MISSING
    int8: bool = MISSING
    max_int8_drop: float = MISSING
    calibration_samples: int = MISSING
    int8_remedies: list[str] = MISSING
    finetune: Finetune = field(default_factory=Finetune)
    opset: int = MISSING
    prefix: str = MISSING


@dataclass(frozen=True)
class Selection:
    """``selection``: what decides where one of several networks is kept."""

    by: str = MISSING
    score: str | None = None
    candidates: int | None = None

    @property
    def trainings(self) -> int:
        """How many final trainings there are."""
        return 4 if self.candidates is None else self.candidates


@dataclass(frozen=True)
class Control:
    """``control``: random networks, trained as the one that was found."""

    num_random: int | None = None
    epochs: int | None = None
    keep_better: bool = MISSING

    @property
    def networks(self) -> int:
        """How many random networks there are."""
        return 3 if self.num_random is None else self.num_random


@dataclass(frozen=True)
class Reject:
    """``reject``: what sets the least score with which a window is taken for a class; at most one of the two."""

    false_accept: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class Postprocess:
    """``postprocess``: how successive windows of a recording decide together."""

    method: str = "none"
    windows: int = 5
    auto_windows: list[int] = field(default_factory=lambda: [3, 5, 9])


@dataclass(frozen=True)
class OutlineFactors:
    """``space.outline``: what each factor of an outline may be, see ``space.outlines.Outline``."""

    kind: list[str] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    decimation: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    taps: list[int] = field(default_factory=list)
    stride: list[int] = field(default_factory=list)
    growth: list[float] = field(default_factory=list)
    dilation: list[int] = field(default_factory=list)
    fill: list[float] = field(default_factory=list)
    readout: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Space:
    """``space``: what can be found, besides the size."""

    ops: list[str] = MISSING
    shape: str = MISSING
    post_reduction_stride: int = MISSING
    readout: str = "mean"
    auto_layers: list[int] = MISSING
    auto_init_channels: list[int] = MISSING
    auto_params: int | None = 20_000
    outline: OutlineFactors = field(default_factory=OutlineFactors)


@dataclass(frozen=True)
class Device:
    """``device``: the chip, as a card of the group ``target_device`` gives it; what is unknown is null."""

    name: str = MISSING
    core: str | None = None
    clock_mhz: float | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    npu: str | None = None
    npu_profile: str | None = None
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class Budget:
    """``budget``: what the network must not exceed; null is no limit."""

    params: int | None = None
    macs: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    latency_ms: float | None = None
    fraction: float = MISSING


@dataclass(frozen=True)
class CostSettings:
    """``cost``: how numbers are kept on the device, and what code is allowed for."""

    weight_bits: int = MISSING
    activation_bits: int = MISSING
    code_bytes: int | None = None
    code_bytes_per_layer: int | None = None


@dataclass(frozen=True)
class Running:
    """``run``: how long a run may take, and where its trainings are done side by side."""

    max_minutes: float | None = None
    backend: str = "processes"
    workers: int | None = None
    max_memory_gb: float | None = None
    ray_address: str = "local"


@dataclass(frozen=True)
class Config:
    """The whole configuration of a run."""

    seed: int = MISSING
    init_from: str | None = None
    target_accuracy: float | None = None
    target_rounds: int = MISSING
    search_features: bool = MISSING
    features_candidates: list[str] = MISSING
    run: Running = field(default_factory=Running)
    device: Device = field(default_factory=Device)
    budget: Budget = field(default_factory=Budget)
    cost: CostSettings = field(default_factory=CostSettings)
    common: Common = field(default_factory=Common)
    dataset: Dataset = field(default_factory=Dataset)
    data_processing_feature_extraction: FeatureExtraction = field(default_factory=FeatureExtraction)
    training: Training = field(default_factory=Training)
    testing: Testing = field(default_factory=Testing)
    export: Export = field(default_factory=Export)
    selection: Selection = field(default_factory=Selection)
    control: Control = field(default_factory=Control)
    compilation: Compilation = field(default_factory=Compilation)
    reject: Reject = field(default_factory=Reject)
    postprocess: Postprocess = field(default_factory=Postprocess)
    space: Space = field(default_factory=Space)
    search: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)

    @property
    def searches_outlines(self) -> bool:
        """Whether outlines are searched, and not cells."""
        return self.training.nas_enabled and self.training.nas_model_size == "auto"


def with_values(record: R, values: Mapping[str, Any]) -> R:
    """The same record with other values, each by its key.

    >>> with_values(Config(seed=1), {"seed": 2, "testing.enable": False}).testing.enable
    False
    """
    for key, value in values.items():
        name, _, rest = key.partition(".")
        own = getattr(record, name)
        if rest:
            value = own | {rest: value} if isinstance(own, dict) else with_values(own, {rest: value})
        record = replace(record, **{name: value})  # type: ignore[type-var]
    return record


@cache
def schema(kind: type) -> DictConfig:
    """A record type as OmegaConf wants it, to be merged with; that of a frozen record would refuse every value."""
    found = OmegaConf.structured(kind)
    _thaw(found)
    return found


def _thaw(node: DictConfig) -> None:
    node._set_flag("readonly", None)
    for key in node:
        child = node._get_node(key)
        if isinstance(child, DictConfig):
            _thaw(child)
