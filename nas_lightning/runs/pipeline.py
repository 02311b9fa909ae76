"""The story, top to bottom: data, search, genotype, training, test, export."""

import copy
import logging
import math
import shutil
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn

from nas_lightning.config.records import Config
from nas_lightning.cost.code import core_named
from nas_lightning.cost.exact import MEASURES, cost_of
from nas_lightning.cost.npu import PROFILES, npu_report
from nas_lightning.cost.projection import check_feasible
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.features import FrontEndCost
from nas_lightning.data.loaders import LoaderData
from nas_lightning.errors import BudgetError, InputError, brief
from nas_lightning.export.bundle import write_bundle
from nas_lightning.export.onnx import NOTEWORTHY, check_parity, export_onnx, relative_difference
from nas_lightning.files import read_json, write_json, write_torch
from nas_lightning.report.pictures import confusion_picture
from nas_lightning.report.tables import print_summary
from nas_lightning.runs.build import build_averaging, build_data, build_rate, build_reference, try_parts
from nas_lightning.runs.checks import check_config
from nas_lightning.runs.claim import begin
from nas_lightning.runs.contest import Contest, candidates_of, compare_seeds, control
from nas_lightning.runs.context import Run, fit, read_checkpoint, train_module
from nas_lightning.runs.deployment import check_fits, deploy
from nas_lightning.runs.description import describe_input
from nas_lightning.runs.folder import load_network, read_description
from nas_lightning.runs.searches import Searched, search
from nas_lightning.space.blueprint import Blueprint, SearchedBlueprint
from nas_lightning.training.evaluate import confusion, figures, never_predicted, predict

log = logging.getLogger("nas_lightning")


def run(
    config: Config,
    folder: Path,
    data: TimeSeriesData | LoaderData | None = None,
    *,
    warm_start: Path | None = None,
) -> None:
    """Do the whole road once and leave its files in ``folder``; go on with the run that it holds a part of.

    Args:
        config: checked here before any data is read.
        folder: the run folder; made if it is missing.
        data: used instead of what the configuration names.
        warm_start: the checkpoints of another run of this size, from whose supernets the searches start.

    Raises:
        InputError: if the configuration or the data are wrong (then nothing is written), or the training diverges.
        BudgetError: if no network of the space meets the budget (then nothing is written).
        ParityError: if the exported file does not compute what the network computes.
    """
    data = check_start(config, folder, data)
    stage = Run(config, data, folder, warm_start)
    _check_fit(stage)
    folder.mkdir(parents=True, exist_ok=True)
    with _run_log(folder), _quiet_lightning():
        log.info("run folder: %s", folder)
        begin(folder, config, data)
        _write_data(stage)
        if config.training.nas_enabled:
            search(stage, config.selection.candidates, lambda searches: _go_on(stage, searches))
        else:
            train(stage, [build_reference(config, stage.task)])


def check_start(config: Config, folder: Path, data: TimeSeriesData | LoaderData | None) -> TimeSeriesData | LoaderData:
    """What comes before anything is written: check the configuration, and read the data.

    Raises:
        InputError: if one of them is wrong.
    """
    check_config(config)
    with _quiet_lightning():
        try_parts(config, folder)
    data = data or build_data(config)
    if config.export.include_features:
        data.front_end.for_export()  # refuses steps that ONNX cannot express, before anything is read
    data.setup()
    if config.export.include_features and isinstance(data, TimeSeriesData):
        data.check_export()
    return data


def _go_on(run: Run, searches: list[Searched]) -> None:
    """Hold what was found against random networks, and train the candidates."""
    contest, candidates = Contest(run), candidates_of(run, searches)
    sections: dict[str, Any] = {"search": _figures_of(run, searches)}
    if run.config.training.enable:
        if len(searches) > 1:
            sections["seeds"] = compare_seeds(contest, searches)
        if run.config.control.num_random:
            better, sections["control"] = control(contest, candidates[0])
            candidates = candidates if better == candidates[0] else [better]
    write_json(run.folder / "metrics.json", _identity(run) | sections)
    blueprints = [contest.blueprint(genotype) for genotype in candidates]
    if run.config.training.enable:
        train(run, blueprints)
    else:
        _describe(run, blueprints[0])
        log.info("training.enable is false: the run ends with genotype.json")


def _figures_of(run: Run, searches: list[Searched]) -> dict[str, Any]:
    """The section ``search`` of ``metrics.json``."""
    sums = {name: sum(getattr(each, name) for each in searches) for name in ("seconds", "epochs", "steps")}
    return {"strategy": run.config.search["name"], **sums}


@dataclass(frozen=True)
class _Trained:
    """The epoch of one final training that is kept.

    Attributes:
        network: with the weights of that epoch.
        val: its figures; the loss is not finite if the training diverged.
        trainer: as the training left it.
        seconds: of the training.
        best_epoch: the first is 1.
    """

    blueprint: Blueprint
    network: nn.Module
    val: dict[str, float]
    trainer: L.Trainer
    seconds: float
    best_epoch: int

    @property
    def has_converged(self) -> bool:
        return math.isfinite(self.val["loss"])


def train(run: Run, candidates: Sequence[Blueprint]) -> None:
    """Train the candidates from scratch, keep the best on ``val`` of ``testing.metric``, measure and export it.

    There are ``selection.candidates`` trainings, each from its own seed; if there are fewer networks, some of them are
    trained again. Of equally good ones that of the smaller loss is kept.

    Raises:
        BudgetError: if a candidate exceeds a limit.
        InputError: if all trainings diverge.
    """
    params = [_cost(run, blueprint.build())["params"] for blueprint in candidates]
    metric, rows = run.config.testing.metric, []
    best, kept = None, 0
    for i in range(run.config.selection.candidates):
        index = i % len(candidates)
        trained = _train_one(run, candidates[index], i)
        value = trained.val[metric] if trained.has_converged else None
        rows.append({"network": index, "params": params[index], "value": value, "seconds": trained.seconds})
        log.info("selection: %s on val %s with %d parameters", metric, _or_diverged(value), params[index])
        if trained.has_converged and (best is None or _is_better(trained, best, metric)):
            best, kept = trained, i
    if best is None:
        rate, given = build_rate(run.config, candidates[0].build()), run.config.training.learning_rate
        key = "training.learning_rate" if run.config.optimizer["lr"] == given else "optimizer.lr"
        raise InputError(f"{key}: the training diverged at {rate:.4g}; lower it")
    selection = {"metric": metric, "trainings": rows, "kept": kept}
    training = {"seconds": sum(row["seconds"] for row in rows), "epochs": best.trainer.current_epoch}
    _finish(run, best, {"selection": selection, "training": training | {"best_epoch": best.best_epoch}})


def _is_better(one: _Trained, other: _Trained, metric: str) -> bool:
    return (one.val[metric], -one.val["loss"]) > (other.val[metric], -other.val["loss"])


def _or_diverged(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.4f}"


def _train_one(run: Run, blueprint: Blueprint, index: int) -> _Trained:
    """One final training; the epoch of its second half with the smallest loss on ``val``."""
    config, seed = run.config, run.config.seed + index
    name, epochs = f"training_{index}" if index else "training", config.training.training_epochs
    checkpoints, best = run.folder / "checkpoints" / name, None
    while best is None:
        module = train_module(run, blueprint, seed)
        log.info("training: seed %d, %d epochs from rate %.4g", seed, epochs, build_rate(config, module.network))
        callbacks = [timer := Timer(), *build_averaging(config)]
        trainer = fit(run, name, epochs, callbacks, module, run.data.train_dataloader())
        best = read_checkpoint(checkpoints / "best.ckpt", module)
        if best is None:  # damaged since it was written: the same fit from its beginning gives the same
            shutil.rmtree(checkpoints)
    module.load_state_dict(best["state_dict"])
    network = module.network.cpu().float()
    val = figures(*predict(network, run.data.val_dataloader()))
    return _Trained(blueprint, network, val, trainer, timer.time_elapsed("train"), best["epoch"] + 1)


def _describe(run: Run, blueprint: Blueprint) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write what the network is, ``genotype.json`` or ``model.json``, and ``cost.json``; returns both."""
    description = blueprint.to_dict() | {"class_names": list(run.data.class_names)}
    if isinstance(blueprint, SearchedBlueprint):
        log.info("genotype: %s", blueprint.genotype)
    cost = _cost(run, blueprint.build())
    write_json(run.folder / "cost.json", cost)
    name = "genotype.json" if isinstance(blueprint, SearchedBlueprint) else "model.json"
    write_json(run.folder / name, description)
    return description, cost


def _finish(run: Run, trained: _Trained, sections: dict[str, Any]) -> None:
    """Measure, export, prove the export, and write the files of the run; ``metrics.json`` comes last."""
    folder, network = run.folder, trained.network
    tested = run.config.testing.enable and isinstance(run.data, TimeSeriesData)
    split, loader = ("test", run.data.test_dataloader()) if tested else ("val", run.data.val_dataloader())
    logits, y = predict(network, loader)
    results = {"val": trained.val, split: figures(logits, y)}
    if missed := [run.data.class_names[label] for label in never_predicted(logits, y)]:
        log.warning(
            "%s: the network takes no sample for %s, although there are some; accuracy does not show it, balanced "
            "accuracy and macro F1 do; training.class_weights=balanced makes rare classes count",
            *(split, brief(", ".join(missed))),
        )
    description, cost = _describe(run, trained.blueprint)
    write_torch(folder / "model.pt", network.state_dict())
    difference = _export(run, network, description, split, loader, logits)
    metrics = _identity(run) | (read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {})
    metrics |= results | sections | {"onnx": {"split": split, "max_difference": difference}}
    metrics, cost = _deploy(run.config, run.data, network, results, folder, metrics, cost)
    _log_results(run, trained.trainer, metrics, cost, split, logits, y)
    write_json(folder / "metrics.json", metrics)
    print_summary(folder, description, metrics, cost)


def finish(config: Config, data: TimeSeriesData | LoaderData, folder: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """End a run that kept the best of several networks: test and deploy what lies in its folder.

    Returns:
        the content of ``metrics.json``.
    """
    network, cost = load_network(folder), read_json(folder / "cost.json")
    floats = {"val": metrics["val"]}
    if config.testing.enable and isinstance(data, TimeSeriesData):
        floats["test"] = figures(*predict(network, data.test_dataloader()))
        log.info("test accuracy %.4f", floats["test"]["accuracy"])
    with _quiet_lightning():
        metrics, _ = _deploy(config, data, network, floats, folder, metrics | floats, cost)
    write_json(folder / "metrics.json", metrics)
    return metrics


def judged_split(config: Config) -> str:
    """The figures of ``metrics.json`` by which one of several networks is kept."""
    return "val_int8" if config.selection.by == "int8" else "val"


def _deploy(
    config: Config,
    data: TimeSeriesData | LoaderData,
    network: nn.Module,
    floats: dict[str, dict[str, float]],
    folder: Path,
    metrics: dict[str, Any],
    cost: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Deploy, and write ``cost.json`` and, if there is firmware, the bundle.

    Returns:
        the content of ``metrics.json``, which comes last of all files, and of ``cost.json``.

    Raises:
        BudgetError: if the program that was linked exceeds the device's memories.
    """
    more_metrics, more_cost = deploy(config, data, network, floats, read_description(folder), folder)
    metrics, cost = metrics | more_metrics, cost | more_cost
    write_json(folder / "cost.json", cost)
    check_fits(config, cost)
    if config.compilation.enable:
        write_bundle(folder, {"metrics.json": metrics})
    return metrics, cost


def _export(
    run: Run,
    network: nn.Module,
    identity: dict[str, Any],
    split: str,
    loader: Iterable[tuple[Tensor, Tensor]],
    logits: Tensor,
) -> float:
    """Write ``model.onnx``, with the front end inside if asked for, and return its difference from the network."""
    path, shape = run.folder / "model.onnx", [run.task.in_channels, run.task.length]
    exact, _ = predict(copy.deepcopy(network).double(), loader)
    rounding = relative_difference(logits.numpy(), exact.numpy())
    samples: Iterable[Tensor] = (x for x, _ in loader)
    if run.config.export.include_features and isinstance(run.data, TimeSeriesData):
        front_end, windows = run.data.front_end, run.data.splits[split].windows
        samples, shape = run.data.splits[split].raw_batches(), [windows.values.shape[1], windows.rows]
        network = nn.Sequential(front_end.for_export(), network)
        write_json(run.folder / "front_end.json", front_end.settings)
    description = describe_input(run.config, run.data, identity)
    export_onnx(network, shape, path, description)
    write_json(run.folder / "input.json", description.to_dict())
    difference = check_parity(path, samples, exact, rounding)
    if difference > NOTEWORTHY:
        text = (
            "model.onnx: differs from the network by up to %.2g of a logit on %s: float32 rounds this network by that "
        )
        log.warning(text + "order, which can change a class", difference, split)
    else:
        log.info("model.onnx: differs from the network by at most %.2g on %s", difference, split)
    return difference


def _write_data(run: Run) -> None:
    """The lists of the splits, and what a user should know about the data."""
    if isinstance(run.data, TimeSeriesData):
        for decision in run.data.decisions:
            log.info("data: %s", decision)
    for note in run.data.notes:
        log.warning("data: %s", note)
    if not isinstance(run.data, TimeSeriesData):
        return
    run.data.write_annotations(run.folder)
    counts = ", ".join(f"{split} {len(samples):,}" for split, samples in run.data.splits.items())
    channels, length, classes = run.data.task_shape
    log.info("data: %s samples of %d channels and %d steps, %d classes", counts, channels, length, classes)


def _identity(run: Run) -> dict[str, Any]:
    config = run.config
    preset = config.training.nas_model_size if config.training.nas_enabled else "model"
    return {
        "preset": preset,
        "dataset": config.dataset.input_data_path or config.dataset.dataset_name,
        "seed": config.seed,
    }


def _log_results(
    run: Run, trainer: L.Trainer, metrics: dict[str, Any], cost: dict[str, Any], split: str, logits: Any, y: Any
) -> None:
    """The confusion matrix and the row of the ``hparams`` page."""
    if not isinstance(trainer.logger, TensorBoardLogger):
        return
    picture = confusion_picture(confusion(logits, y), run.data.class_names, split)
    trainer.logger.experiment.add_figure("confusion", picture, trainer.current_epoch)
    training = {key: value for key, value in asdict(run.config.training).items() if key.startswith("nas_")}
    if run.config.training.nas_enabled:
        training |= {"nas_layers": run.size.layers, "nas_init_channels": run.size.init_channels}
    results = {f"hparams/{name}": float(metrics[split][name]) for name in ("accuracy", "macro_f1")}
    results |= {f"hparams/{name}": float(cost[name]) for name in ("params", "macs")}
    trainer.logger.log_hyperparams({**_identity(run), **training}, results)
    trainer.logger.save()
    trainer.logger.experiment.flush()  # what cannot be written is said before the run counts as ended


def _check_fit(run: Run) -> None:
    """Refuse data that are too short for the network, and limits that it, or all networks of the space, do not meet."""
    reference = None if run.config.training.nas_enabled else build_reference(run.config, run.task)
    # Two time steps must be left after all strides: BatchNorm cannot normalise a single value.
    least = 1 + (run.size.total_stride if reference is None else reference.total_stride)
    if run.task.length < least:
        raise InputError(
            f"data: the samples have {run.task.length} time steps; the reductions of this network need at least {least}"
        )
    if reference is not None:
        _cost(run, reference.build())
        return
    front_end = run.data.front_end_cost
    if front_end.ram_bytes > run.budget.get("ram_bytes", front_end.ram_bytes):
        nearest = {"ram_bytes": front_end.ram_bytes}
        raise BudgetError("the front end alone does not meet", run.budget, ["ram_bytes"], nearest)
    try:
        check_feasible(run.space_cost, run.limits)
    except BudgetError as error:
        if run.limits == run.budget:
            raise
        nearest = {
            measure: limit + run.budget[measure] - run.limits[measure] for measure, limit in error.nearest.items()
        }
        raise BudgetError(
            "no network of this space meets, after its front end,", run.budget, error.binding, nearest
        ) from error


def _cost(run: Run, network: nn.Module) -> dict[str, Any]:
    """The content of ``cost.json``.

    Raises:
        BudgetError: if the network exceeds a limit.
    """
    task, profile = run.task, run.config.device.npu_profile
    cost = cost_of(network, task.in_channels, task.length, run.numbers).to_dict()
    device = run.config.device
    if device.clock_mhz is not None and device.core is not None and core_named(device.core) is not None:
        cost["latency_ms"] = cost["instructions"] / device.clock_mhz / 1000
    front_end = run.data.front_end_cost
    if front_end != FrontEndCost():
        cost["front_end"] = asdict(front_end)
    total = total_cost(cost)
    exceeded = [measure for measure, limit in run.budget.items() if total[measure] > limit]
    if exceeded:
        raise BudgetError(
            "the network does not meet", run.budget, exceeded, {measure: total[measure] for measure in exceeded}
        )
    if run.budget:
        cost["device"] = run.config.device.name
        cost["budget"] = {
            measure: {"limit": limit, "value": total[measure], "holds": total[measure] <= limit}
            for measure, limit in run.budget.items()
        }
    if profile is not None:
        cost["npu_report"] = npu_report(network, task.in_channels, task.length, PROFILES[profile])
    return cost


def total_cost(cost: dict[str, Any]) -> dict[str, int]:
    """What a ``cost.json`` says of network and front end together."""
    front_end = cost.get("front_end", {})
    return {measure: cost[measure] + front_end.get(measure, 0) for measure in MEASURES}


class _Strict(logging.FileHandler):
    """Hands on what goes wrong, where logging would print a traceback and go on."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by logging while it handles the error."""
        raise


@contextmanager
def _run_log(folder: Path) -> Iterator[None]:
    handler = _Strict(folder / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    console = logging.StreamHandler()
    console.addFilter(lambda record: record.levelno == logging.WARNING)  # what ends the run is said by who catches it
    level = log.level
    log.addHandler(handler)
    log.addHandler(console)
    log.setLevel(logging.INFO)
    start = time.perf_counter()
    try:
        yield
        log.info("done in %.1f seconds", time.perf_counter() - start)
    except BaseException as error:
        with suppress(OSError):  # the disk may be full; what matters is what stopped the run
            log.error("stopped: %s: %s", type(error).__name__, error)
        raise
    finally:
        log.removeHandler(handler)
        log.removeHandler(console)
        log.setLevel(level)
        with suppress(OSError):
            handler.close()


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hide what Lightning says about choices that are made here on purpose, and its advertisements."""
    lightning_log = logging.getLogger("lightning.pytorch")
    level = lightning_log.level
    lightning_log.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")  # the data lie in memory
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")  # a resumed run
        warnings.filterwarnings("ignore", "GPU available but not used.*")  # for most searches a CPU is faster
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")  # Lightning's own use of torch
        try:
            yield
        finally:
            lightning_log.setLevel(level)
