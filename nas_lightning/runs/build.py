"""Objects from the configuration; the only place that calls ``hydra.utils.instantiate``."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import lightning as L
import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nas_lightning.callbacks.checkpoint import WholeCheckpoints
from nas_lightning.config.arguments import argument_types, check_arguments, shown
from nas_lightning.config.compose import data_links, in_keys
from nas_lightning.config.keys import escaped
from nas_lightning.config.records import Config
from nas_lightning.config.targets import check_targets
from nas_lightning.cost.budget import Budget, instructions_within
from nas_lightning.cost.code import REFERENCE_CORE, core_named
from nas_lightning.cost.exact import MEASURES, Numbers
from nas_lightning.cost.npu import PROFILES
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.protocol import SearchData, missing_of
from nas_lightning.errors import InputError
from nas_lightning.runs.lengths import BEFORE_DATA, in_full
from nas_lightning.search.arch_step import FirstOrder, Unrolled
from nas_lightning.search.derivation import Uniform
from nas_lightning.search.strategy import SearchPlan, Strategy
from nas_lightning.space.base import Blueprint
from nas_lightning.space.cells.genotype import Genotypes
from nas_lightning.space.cells.npu import accelerated_ops, round_channels
from nas_lightning.space.cells.size import Size
from nas_lightning.space.outlines import FACTORS, accelerated
from nas_lightning.space.readouts import keeps_position
from nas_lightning.space.reference import OwnBlueprint, ReferenceBlueprint
from nas_lightning.space.trunk import listed_trunk
from nas_lightning.tasks import Classification, Task
from nas_lightning.training.averaging import MovingAverage
from nas_lightning.training.length import Length
from nas_lightning.training.module import learning_rate
from nas_lightning.training.recipe import Recipe

T = TypeVar("T")

_MIXED = {"16", "16-mixed", "bf16", "bf16-mixed"}


def build_data(config: Config) -> Any:
    """The DataModule of the group ``data``: a ``TimeSeriesData``, or a ``protocol.SearchData`` of the user's own."""
    return _made("data", _call("data", config.data), L.LightningDataModule)


def build_recordings(config: Config) -> TimeSeriesData:
    """The same where recordings are looked at.

    Raises:
        InputError: if it has none.
    """
    return _made("data", build_data(config), TimeSeriesData)


def build_plan(config: Config) -> SearchPlan:
    """What the group ``search`` says of the run."""
    target = f"{SearchPlan.__module__}.{SearchPlan.__qualname__}"
    return _call("search", {"_target_": target, **_of_plan(config, keep=True)})


def build_strategy(config: Config) -> Strategy:
    """The search strategy of the group ``search``.

    Raises:
        InputError: if what the run does with it does not suit it.
    """
    config = in_full(config, BEFORE_DATA)
    plan, strategy = build_plan(config), _made("search", _call("search", _of_plan(config, keep=False)), Strategy)
    if plan.unrolled:
        if not isinstance(strategy.arch_step, FirstOrder | Unrolled):
            raise InputError(
                f"search.unrolled: found true; allowed: false, because {strategy.name} has no gradient step"
            )
        strategy = called("search", replace, strategy, arch_step=Unrolled())
    if plan.on_collapse == "switch" and strategy.arch_step is None:
        raise InputError(f"search.on_collapse: found switch; allowed: warn, because {strategy.name} learns no alphas")
    if config.searches_outlines and plan.trains:
        raise InputError(
            f"search: found {strategy.name}; allowed: outlines, random with nas_model_size=auto, because outlines have "
            "no supernet; nas_model_size=auto_cells searches cells by it"
        )
    if config.training.nas_enabled and not config.searches_outlines and plan.prior:
        raise InputError("search.prior: found true; allowed: false, because nas_model_size=auto alone has outlines")
    if not (plan.trains or type(strategy.derivation) is Uniform):
        raise InputError("search.trains: found false; allowed: true, because only Uniform derives without a supernet")
    return strategy


def _of_plan(config: Config, keep: bool) -> dict[str, Any]:
    """The keys of the group ``search`` that are those of the plan, or the others."""
    of_plan = {field.name for field in fields(SearchPlan)}
    return {name: value for name, value in config.search.items() if (name in of_plan) == keep}


def build_recipe(config: Config, task: Task, data: SearchData, folder: Path, length: Length) -> Recipe:
    """How the networks of a run are trained, in the end for so long."""
    training = config.training
    return Recipe(
        epochs=length.epochs,
        seed=config.seed,
        optimizers=partial(build_optimizers, config),
        loss=task.training_loss(data.train_targets, training.class_weights, training.label_smoothing),
        norm_bias=training.norm_bias,
        clip_norm=training.clip_norm,
        kernels=training.nas_kernels,
        short_trainer=partial(build_short_trainer, config, folder, length.batches),
    )


def build_numbers(config: Config) -> Numbers:
    """How numbers are kept on the device, from the section ``cost``, and the core that they are counted for."""
    core = core_named(config.device.core) if config.device.core else None
    return called("cost", Numbers, **asdict(config.cost), core=core or REFERENCE_CORE)


def build_budget(config: Config) -> Budget:
    """The section ``budget``, whose limits are targets, and a share of the device's memories, which are none."""
    given, clock_mhz = config.budget, config.device.clock_mhz
    asked = {measure: getattr(given, measure) for measure in MEASURES if measure != "instructions"}
    if given.latency_ms is not None and clock_mhz is not None:
        asked["instructions"] = instructions_within(given.latency_ms, clock_mhz)
    limits = {measure: limit for measure, limit in asked.items() if limit is not None}
    targets = frozenset(limits)
    for measure in ("flash_bytes", "ram_bytes"):
        memory = getattr(config.device, measure)
        if measure not in limits and memory is not None:
            limits[measure] = int(memory * given.fraction)
    return Budget({measure: limits[measure] for measure in asked if measure in limits}, targets)


def build_ops(config: Config) -> tuple[str, ...]:
    """The operations, without those that the device's NPU does not accelerate.

    Raises:
        InputError: if none is left.
    """
    ops = tuple(config.space.ops)
    if config.device.npu_profile is None:
        return ops
    kept = accelerated_ops(ops, PROFILES[config.device.npu_profile])
    if not set(kept) - {"none"}:
        raise InputError(f"space.ops: the NPU of {config.device.name} accelerates none of {', '.join(ops)}")
    return kept


def build_factors(config: Config) -> dict[str, tuple[Any, ...]]:
    """What each factor of an outline may be: of readouts those that suit the windows, and all that an NPU accelerates.

    Raises:
        InputError: if nothing is left of a factor.
    """
    asked = {name: tuple(values) for name, values in vars(config.space.outline).items()}
    kept, reasons = _kept(config, asked), []
    if config.dataset.aligned is False:
        reasons.append("windows begin anywhere (dataset.aligned=false)")
    if config.device.npu_profile is not None:
        reasons.append(f"of the NPU of {config.device.name}")
    for name, values in kept.items():
        if not values:
            found, others = (", ".join(map(str, each)) for each in (asked[name], _kept(config, FACTORS)[name]))
            raise InputError(f"space.outline.{name}: found {found}; allowed: {others}, because {' and '.join(reasons)}")
    return kept


def _kept(config: Config, factors: Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    kept = dict(factors)
    if config.dataset.aligned is False:
        kept["readout"] = tuple(name for name in factors["readout"] if not keeps_position(name))
    return kept if config.device.npu_profile is None else accelerated(kept, PROFILES[config.device.npu_profile])


def build_size(config: Config) -> Size:
    """The size, from the ``training.nas_*`` keys; channels are rounded up if the device has an NPU."""
    training = config.training
    return _for_device(config, _size(config, training.nas_layers, training.nas_init_channels))


def build_wide_sizes(config: Config) -> Iterator[Size]:
    """Sizes of three layers by their channels, for ``space.shape=wide``; without end."""
    return (_for_device(config, _size(config, 3, channels)) for channels in itertools.count(1))


def build_candidates(config: Config) -> list[Size]:
    """The sizes that ``nas_model_size=auto_cells`` chooses from."""
    pairs = itertools.product(config.space.auto_layers, config.space.auto_init_channels)
    return list(dict.fromkeys(_for_device(config, _size(config, *pair)) for pair in pairs))


def _size(config: Config, layers: int, init_channels: int) -> Size:
    training = config.training
    return Size(
        layers=layers,
        nodes_per_layer=training.nas_nodes_per_layer,
        init_channels=init_channels,
        init_channel_multiplier=training.nas_init_channel_multiplier,
        fanout_concat=training.nas_fanout_concat,
        post_reduction_stride=config.space.post_reduction_stride,
        readout=config.space.readout,
    )


def _for_device(config: Config, size: Size) -> Size:
    return size if config.device.npu_profile is None else round_channels(size)


def build_reference(config: Config, task: Task) -> Blueprint:
    """The hand-made network of the group ``model``."""
    return hand_made(config.model, task)


def hand_made(model: dict[str, Any], task: Task) -> Blueprint:
    """The network of an option of this group."""
    make = _call("model", model, _partial_=True)  # Hydra would turn the record `task` into a dictionary
    if not isinstance(make, partial):
        raise InputError(f"model: found {shown(model)}; allowed: a _target_ and its arguments")
    if make.func in (ReferenceBlueprint, listed_trunk):
        return cast(Blueprint, called("model", make, task=task))
    return OwnBlueprint(model, make, task)


def build_rate(config: Config, network: nn.Module) -> float:
    """The learning rate that the final training of ``network`` starts from: the optimizer's, or one for its size."""
    lr = config.optimizer["lr"]
    return learning_rate(network) if lr is None else lr


def build_optimizers(config: Config, network: nn.Module) -> tuple[Any, Any]:
    """What makes the optimizer and the scheduler of the final training of ``network``."""
    config = in_full(config, BEFORE_DATA)
    changes: dict[str, Any] = {"lr": build_rate(config, network)}
    if config.optimizer.get("fused") and str(config.trainer.get("precision")) in _MIXED:
        changes["fused"] = False  # Lightning cannot clip gradients that a fused step unscales
    return _call("optimizer", config.optimizer, **changes), _call("scheduler", config.scheduler)


def build_averaging(config: Config) -> list[L.Callback]:
    """What averages the weights of the final training; nothing if they are not averaged."""
    decay = config.training.average_decay
    return [MovingAverage(decay)] if decay else []


def build_trainer(config: Config, folder: Path, stage: str, length: Length, callbacks: list[L.Callback]) -> L.Trainer:
    """The Trainer of one stage, with the configured callbacks behind ``callbacks``."""
    given = {f"callbacks.{name}": record for name, record in config.callbacks.items() if record}
    configured = [_made(key, _call(key, record), L.Callback) for key, record in given.items()]
    trainer = _call(
        "trainer",
        config.trainer,
        max_epochs=length.epochs,
        **_limit(config, length.batches),
        check_val_every_n_epoch=length.every,
        callbacks=callbacks + configured,
        logger=build_loggers(config, folder, stage) or False,
        default_root_dir=folder,
        plugins=[WholeCheckpoints()],
        # Without this Lightning adds a bar of its own, and its rich one cannot run inside another fit.
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in configured),
    )
    return _made("trainer", trainer, L.Trainer)


def build_loggers(config: Config, folder: Path, stage: str) -> list[Logger]:
    """The one of the group ``logger``, or several by name; each gets what it takes of folder and stage."""
    records = {f"logger.{name}": record for name, record in config.logger.items() if record}
    if "_target_" in config.logger:
        records = {"logger": config.logger}
    found = []
    for key, record in records.items():
        if not isinstance(record, dict) or "_target_" not in record:
            raise InputError(f"{key}: found {shown(record)}; allowed: a logger with its _target_, or loggers by name")
        check_targets(key, record)
        takes = argument_types(get_object(record["_target_"]))
        given: dict[str, Any] = {"save_dir": folder, "version": stage, "run_name": f"{folder.name} {stage}"}
        if "id" in takes:  # W&B, where version is the id of a run; and it makes links, which a run folder must not hold
            given = {"name": given["run_name"]}
        own = {name: value for name, value in given.items() if name in takes and name not in record}
        found.append(_made(key, _call(key, record, **own), Logger))  # type: ignore[type-abstract]
    return found


def _limit(config: Config, batches: int | None) -> dict[str, Any]:
    """The most batches of an epoch, unless the configuration says it."""
    return {} if batches is None or "limit_train_batches" in config.trainer else {"limit_train_batches": batches}


def build_short_trainer(config: Config, folder: Path, batches: int | None, epochs: int) -> L.Trainer:
    """A Trainer that leaves nothing behind and shows nothing."""
    nothing = ("logger", "enable_checkpointing", "enable_progress_bar")
    quiet = dict.fromkeys(nothing, False) | {"limit_val_batches": 0, "callbacks": build_averaging(config)}
    quiet |= {"max_epochs": epochs, "default_root_dir": folder, **_limit(config, batches)}
    return _call("trainer", config.trainer, **quiet)


def try_parts(config: Config, folder: Path) -> None:
    """Build every configured part once, so that a wrong key is refused before anything is written.

    Raises:
        InputError: naming the group and what its constructor said.
    """
    make_optimizer, make_scheduler = build_optimizers(config, nn.Linear(1, 1))
    _try_steps("optimizer", make_optimizer, "scheduler", make_scheduler)
    strategy = build_strategy(config)
    schedule = partial(strategy.new_scheduler, num_epochs=BEFORE_DATA.search.epochs)
    _try_steps("search.weight_optimizer", strategy.weight_optimizer, "search.weight_scheduler", schedule)
    _try_steps("search.alpha_optimizer", strategy.alpha_optimizer)
    if config.training.nas_enabled:
        nodes, new_alphas = config.training.nas_nodes_per_layer, strategy.relaxation.new_alphas
        called("space", new_alphas, Genotypes(build_ops(config), nodes))
    build_reference(config, Classification(1, 2, 2))
    build_trainer(config, folder, "search", Length(1), [])


def _try_steps(key: str, make_optimizer: Any, scheduler_key: str = "", make_scheduler: Any = None) -> None:
    """One step of an optimizer, and of its schedule: not all of them look at their numbers before."""
    parameter = nn.Parameter(torch.ones(1))
    parameter.grad = torch.ones(1)
    optimizer = called(key, make_optimizer, [parameter])
    schedule = called(scheduler_key, make_scheduler, optimizer) if make_scheduler else None
    called(key, optimizer.step)
    if schedule is not None:
        _refuse_plateau(scheduler_key, schedule)
        called(scheduler_key, schedule.step)


def _refuse_plateau(key: str, scheduler: Any) -> None:
    if isinstance(scheduler, ReduceLROnPlateau):
        raise InputError(f"{key}: found ReduceLROnPlateau; allowed: schedules that follow the epoch alone")


def _made(key: str, part: Any, kind: type[T]) -> T:
    if not isinstance(part, kind):
        raise InputError(f"{key}: found a {type(part).__name__}; allowed: what makes a {kind.__name__}")
    return part


def _call(key: str, record: dict[str, Any], **arguments: Any) -> Any:
    if not isinstance(record, dict):
        raise InputError(f"{key}: found {record!r}; allowed: a _target_ and its arguments")
    check_targets(key, record)  # whatever way the record came in: this is the only place that instantiates
    check_arguments(key, record | arguments, data_links())
    # Hydra resolves twice: it writes what it has resolved into its copy, and reads that.
    return called(key, instantiate, escaped(escaped(record)), **arguments, _convert_="all")


def called(key: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a part of the user's makes; whatever it raises becomes a sentence that names the key.

    Raises:
        InputError: naming the key.
    """
    try:
        return function(*arguments, **named)
    except Exception as error:  # whatever a configured class raises for its arguments
        cause: BaseException = error
        if isinstance(error, InstantiationException):
            cause = error.__cause__ or error
            key += "".join(f".{nested}" for nested in re.findall(r"full_key: (.+)", str(error)))
        text = " ".join(str(cause).split())
        if isinstance(cause, InputError):
            cause.args = (in_keys(text, key),)
            raise cause  # noqa: B904 # it is the cause
        raise InputError(f"{key}: {text}") from error


@contextmanager
def keyed(section: str) -> Iterator[None]:
    """What is raised in here names keys of a section where the library names its arguments."""
    try:
        yield
    except InputError as error:
        error.args = (in_keys(str(error), section),)
        raise


def set_up(data: SearchData, has_keys: bool = True) -> None:
    """Read the data; if a configuration made them, their errors name its keys.

    Raises:
        InputError: for data that cannot be used, or that lack something of ``SearchData``.
    """
    with keyed("data") if has_keys else nullcontext():
        if isinstance(data, L.LightningDataModule):
            data.prepare_data()
        data.setup("fit")
        if getattr(data, "has_test", False):
            data.setup("test")
    if missing := missing_of(data):
        raise InputError(
            f"data: found a {type(data).__name__}, which lacks {', '.join(missing)}; allowed: what has all of "
            "nas_lightning.data.protocol.SearchData, from which it can inherit the most"
        )
