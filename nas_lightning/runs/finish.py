"""The end of a run: figures, exported files, their proof, and ``metrics.json``, which comes last."""

import copy
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from torch import Tensor, nn

from nas_lightning import progress
from nas_lightning.callbacks.boards import Loggers, add_picture, add_result, boards_of
from nas_lightning.config.compose import in_keys
from nas_lightning.config.records import Config, with_values
from nas_lightning.data.preparation import FILE as PREPARATION
from nas_lightning.export import sbom
from nas_lightning.export.bundle import write_bundle
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.int8 import behind_front_end
from nas_lightning.export.onnx import check_parity, described, front_end_to_onnx, to_onnx
from nas_lightning.export.parity import NOTEWORTHY, relative_difference
from nas_lightning.files import plain, read_as, read_record, write_bytes, write_json, write_torch
from nas_lightning.report.costs import CostReport
from nas_lightning.report.pictures import outcome_picture
from nas_lightning.report.results import OnnxParity, RunMetrics, RunResult
from nas_lightning.report.tables import print_summary
from nas_lightning.runs import card
from nas_lightning.runs.alignment import alignment_of
from nas_lightning.runs.build import build_loggers, keyed
from nas_lightning.runs.context import Run, identity
from nas_lightning.runs.costs import cost_report, with_decision
from nas_lightning.runs.decisions import answers_of, decide, judged
from nas_lightning.runs.deployment import check_fits, deploy
from nas_lightning.runs.description import content_of, describe_input
from nas_lightning.runs.folder import load_network
from nas_lightning.runs.history import write_history
from nas_lightning.runs.judging import details_on, loader_of, write_mistakes
from nas_lightning.runs.logs import quiet_lightning
from nas_lightning.runs.page import end_with_page
from nas_lightning.runs.trainings import Kept
from nas_lightning.space.base import Blueprint, in_words
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.tasks.confidence import Answers
from nas_lightning.training.evaluate import predict

log = logging.getLogger("nas_lightning")


def describe(run: Run, blueprint: Blueprint) -> CostReport:
    """Write what the network is, ``genotype.json`` or ``model.json``, and ``cost.json``."""
    log.info("network: %s", in_words(blueprint))
    cost = cost_report(run, blueprint.build())
    write_json(run.folder / "cost.json", plain(cost))
    write_json(run.folder / blueprint.file, content_of(blueprint, run.task))
    return cost


def finish(run: Run, kept: Kept, metrics: RunMetrics) -> RunResult:
    """Measure, export, prove the export, and write the files of the run.

    Raises:
        BudgetError: if the program that was linked exceeds the device's memories.
        ParityError: if an exported file does not compute what the network computes.
    """
    best, network = kept.best, kept.best.network
    tested = run.config.testing.enable and run.data.has_test
    split, loader = ("test", run.data.test_dataloader()) if tested else ("val", run.data.val_dataloader())
    logits, y = predict(network, loader, f"figures on {split}")
    outputs = {split: (logits, y)}
    if split != "val":
        outputs["val"] = predict(network, run.data.val_dataloader(), "figures on val")
    metrics = replace(metrics, selection=kept.selection, training=kept.summary, samples=dict(run.data.sizes))
    answers = {name: _answers(run, network, name, *each) for name, each in outputs.items()}
    decision = None
    if run.task.decides:
        decision, metrics = decide(run, metrics, answers["val"])
        metrics = judged(metrics, decision, answers)
    metrics = metrics.with_figures({"val": best.val, split: run.task.figures(logits, y)})
    metrics = metrics.with_details({name: details_on(run, name, *each) for name, each in outputs.items()})
    metrics = replace(metrics, alignment=alignment_of(run, best.blueprint, network, *outputs["val"]))
    write_mistakes(run, split, logits, y)
    for doubt in run.task.doubts(logits, y):
        log.warning("%s: %s", split, in_keys(doubt, "training"))
    cost = with_decision(run, describe(run, best.blueprint), decision)
    write_torch(run.folder / "model.pt", network.state_dict())
    with keyed("export"):
        difference = _export(run, network, describe_input(run, best.blueprint, decision), split, loader, logits)
    metrics = replace(metrics, onnx=OnnxParity(split=split, max_difference=difference))
    metrics, cost = _deploy(run, network, metrics, cost, answers[split])
    _log_results(run, kept, metrics, cost, split, logits, y)
    write_history(run, best.name)
    end_with_page(run.folder, metrics)
    result = RunResult(run.folder, metrics, cost)
    print_summary(result, best.blueprint)
    return result


def _answers(run: Run, network: nn.Module, split: str, outputs: Tensor, target: Tensor) -> Answers:
    """What the network gives on a split, with what it gives on samples of no class."""
    return answers_of(run, split, outputs, target, lambda batches: predict(network, batches)[0])


def finish_kept(run: Run, metrics: RunMetrics) -> RunResult:
    """End a run that kept the best of several networks: test and deploy what lies in its folder."""
    network, cost = load_network(run.folder), read_record(run.folder / "cost.json", CostReport)
    split = "test" if run.config.testing.enable and run.data.has_test else "val"
    logits, y = predict(network, loader_of(run.data, split), f"figures on {split}")
    answers = _answers(run, network, split, logits, y)
    if split == "test":
        metrics = metrics.with_figures({"test": run.task.figures(logits, y)})
        metrics = metrics.with_details({"test": details_on(run, "test", logits, y)})
        write_mistakes(run, "test", logits, y)
        log.info("test %s %.4f", run.task.monitor, metrics.figures("test")[run.task.monitor])
    decision = read_as(run.folder / "input.json", InputDescription.from_dict).decision
    metrics = judged(metrics, decision, {split: answers})
    with quiet_lightning():
        metrics, cost = _deploy(run, network, metrics, cost, answers)
    end_with_page(run.folder, metrics)
    return RunResult(run.folder, metrics, cost)


def judged_split(config: Config) -> str:
    """The figures of ``metrics.json`` by which one of several networks is kept."""
    return "val_int8" if config.selection.by == "int8" else "val"


def one_of_several(config: Config, values: Mapping[str, object], turns: int) -> Config:
    """The configuration of a run whose network is only compared with others, with some values of its own.

    Args:
        config: of all of them.
        values: of this one.
        turns: how many are done one after the other, at most: they share the time.
    """
    if config.run.max_minutes is not None:
        values = {"run.max_minutes": config.run.max_minutes / turns, **values}
    left_out = dict.fromkeys(("testing.enable", "compilation.enable", "control.keep_better"), False)
    others = {"control.num_random": 0, "export.int8": judged_split(config) == "val_int8"}
    return with_values(config, {**left_out, **others, **values})


def _deploy(
    run: Run, network: nn.Module, metrics: RunMetrics, cost: CostReport, answers: Answers
) -> tuple[RunMetrics, CostReport]:
    """Deploy, and write ``cost.json`` and, if there is firmware, the bundle; returns what both files say.

    Raises:
        BudgetError: if the program that was linked exceeds the device's memories.
    """
    metrics, cost = deploy(run, network, metrics, cost, answers)
    write_json(run.folder / "cost.json", plain(cost))
    check_fits(run.config, cost)
    if run.config.compilation.enable:
        with progress.step("writing deploy.zip"):
            write_bundle(run.folder, _papers(run, metrics, cost))
    return metrics, cost


def _papers(run: Run, metrics: RunMetrics, cost: CostReport) -> dict[str, Any]:
    """Files that only ``deploy.zip`` has, or has before the folder, by name."""
    description = read_as(run.folder / "input.json", InputDescription.from_dict)
    return {
        "metrics.json": plain(metrics),
        sbom.NAME: sbom.bill_of_materials(run.folder, description.identity),
        card.NAME: card.card_text(run.folder, metrics, cost),
    }


def _export(
    run: Run,
    network: nn.Module,
    description: InputDescription,
    split: str,
    loader: Iterable[tuple[Tensor, Tensor]],
    logits: Tensor,
) -> float:
    """Write ``model.onnx``, with the front end inside if asked for, and return its difference from the network."""
    path = run.folder / "model.onnx"
    exact, _ = predict(copy.deepcopy(network).double(), loader, f"figures on {split} in float64")
    rounding = relative_difference(logits.numpy(), exact.numpy())
    samples: Iterable[Tensor] = (x for x, _ in loader)
    model = to_onnx(network, [run.task.in_channels, run.task.length])
    if run.config.export.include_features and (rows := run.data.raw_batches(split)) is not None:
        samples, front_end = rows, run.data.front_end
        model = behind_front_end(front_end_to_onnx(front_end.for_export(), run.data.raw_shape), model)
        write_json(run.folder / "front_end.json", front_end.settings)
    write_bytes(path, described(model, description).SerializeToString())
    write_json(run.folder / "input.json", description.to_dict())
    if (preparation := run.data.preparation()) is not None:
        write_json(run.folder / PREPARATION, plain(preparation))
    shown = progress.track(samples, f"comparing model.onnx on {split}", len(exact), "sample", len)
    difference = check_parity(path, shown, exact, rounding)
    if difference > NOTEWORTHY:
        text = (
            "model.onnx: differs from the network by up to %.2g of a logit on %s: float32 rounds this network by that "
        )
        log.warning(text + "order, which can change a class", difference, split)
    else:
        log.info("model.onnx: differs from the network by at most %.2g on %s", difference, split)
    return difference


def _log_results(
    run: Run, kept: Kept, metrics: RunMetrics, cost: CostReport, split: str, logits: Tensor, y: Tensor
) -> None:
    """The picture of the outcome and the row of the ``hparams`` page."""
    best = kept.best
    loggers = build_loggers(run.config, run.folder, best.name) if best.loggers is None else best.loggers
    if not boards_of(logs := Loggers(loggers, best.steps)):
        return
    add_picture(logs, *outcome_picture(run.task, logits, y, split), best.epochs)
    training = {key: value for key, value in asdict(run.config.training).items() if key.startswith("nas_")}
    if run.config.training.nas_enabled and isinstance(run.space, CellSpace):
        training |= {"nas_layers": run.space.size.layers, "nas_init_channels": run.space.size.init_channels}
    results = {f"hparams/{name}": float(metrics.figures(split)[name]) for name in run.task.summary}
    results |= {f"hparams/{name}": float(getattr(cost, name)) for name in ("params", "macs")}
    add_result(logs, {**plain(identity(run.config)), **training}, results)
