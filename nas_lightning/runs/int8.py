"""The int8 form of a trained network, and its figures."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from onnx import ModelProto
from torch import Tensor, nn

from nas_lightning import progress
from nas_lightning.config.compose import in_keys
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.equalise import equalise
from nas_lightning.export.int8 import METHODS, behind_front_end, quantize, to_qdq
from nas_lightning.export.onnx import described, front_end_to_onnx, run_onnx, to_onnx
from nas_lightning.files import write_bytes
from nas_lightning.report.results import Int8Report
from nas_lightning.runs.context import Run
from nas_lightning.runs.decisions import answers_of
from nas_lightning.runs.judging import details_on, loader_of, shown
from nas_lightning.tasks import Details, Figures
from nas_lightning.tasks.confidence import Answers
from nas_lightning.training.fake_quant import finetune_int8
from nas_lightning.training.length import batches_of

log = logging.getLogger("nas_lightning")

_Outputs = tuple[Tensor, Tensor]  # of a split, and its targets


@dataclass(frozen=True)
class Int8:
    """An int8 network.

    Attributes:
        integer: its integer form, without the front end.
        figures: by split.
        details: what these are made of.
        answers: what it gives, by split.
        report: how it was made: the method, and what each method that was tried gave on val.
    """

    integer: ModelProto
    figures: dict[str, Figures]
    details: dict[str, Details]
    answers: dict[str, Answers]
    report: Int8Report


def export_int8(
    run: Run, network: nn.Module, model: ModelProto, floats: Mapping[str, Figures], description: InputDescription
) -> Int8:
    """Quantize, by the first of the configured ways that keeps ``testing.metric``, and write ``model_int8.onnx``.

    Its loss is judged on val. If no way keeps it within ``export.max_int8_drop`` the one with
    the highest value is taken, and a warning says what was lost.

    Args:
        run: its folder gets the file.
        network: the trained network, without its front end.
        model: the same, exported.
        floats: its figures by split.
        description: of what goes in and comes out.
    """
    config, data = run.config, run.data
    metric, allowed = config.testing.metric, config.export.max_int8_drop
    samples = data.samples(config.export.calibration_samples)
    found: dict[str, tuple[ModelProto, ModelProto, _Outputs]] = {}
    values: dict[str, float] = {}
    for method in ("minmax", *config.export.int8_remedies):
        try:
            integer = _quantize(run, network, model, samples, method)
        except FloatingPointError as error:
            log.warning("int8: %s fails (%s)", method, in_keys(str(error), "export.finetune"))
            continue
        qdq = to_qdq(integer)
        found[method] = integer, qdq, _outputs(run, qdq, "val", f"int8 by {method}: figures on val")
        values[method] = run.task.figures(*found[method][2])[metric]
        if floats["val"][metric] - values[method] <= allowed:
            break
    best = max(values, key=lambda name: values[name])
    if floats["val"][metric] - values[best] > allowed:
        log.warning(
            "int8: %s on val falls from %.4f to %.4f, by more than export.max_int8_drop=%g; tried: %s",
            *(metric, floats["val"][metric], values[best], allowed, ", ".join(values)),
        )
    integer, qdq, on_val = found[best]
    outputs = {"val": on_val} | {
        split: _outputs(run, qdq, split, f"int8: figures on {split}") for split in floats if split != "val"
    }
    answers = _answers(run, qdq, outputs)
    if config.export.include_features:
        front_end = front_end_to_onnx(data.front_end.for_export(), data.raw_shape)
        qdq = behind_front_end(front_end, qdq)
    write_bytes(run.folder / "model_int8.onnx", described(qdq, description).SerializeToString())
    log.info("model_int8.onnx: by %s; %s on val %.4f, float %.4f", best, metric, values[best], floats["val"][metric])
    figures = {split: run.task.figures(*each) for split, each in outputs.items()}
    details = {split: details_on(run, split, *each) for split, each in outputs.items()}
    return Int8(integer, figures, details, answers, Int8Report(method=best, tried=values))


T = TypeVar("T")


def named(by_split: Mapping[str, T]) -> dict[str, T]:
    """The same by the names that ``metrics.json`` has for what is of the int8 network."""
    return {f"{split}_int8": each for split, each in by_split.items()}


def _quantize(run: Run, network: nn.Module, model: ModelProto, samples: Tensor, method: str) -> ModelProto:
    calibration = f"int8 by {method}: calibration"
    if method in METHODS:
        with progress.step(calibration):
            return quantize(model, [samples], method)
    changed = equalise(network, samples)
    if method == "finetune":
        torch.manual_seed(run.config.seed)
        length, rate = run.lengths.finetuning, run.config.export.finetune.learning_rate
        loader = _Passes(run.data.train_dataloader(), length.batches)
        steps = length.steps(batches_of(run.data.train_dataloader()))
        total = steps and steps // length.epochs * (length.epochs + 1)  # the first pass observes ranges
        with progress.bar("int8 by finetune: training", total, "step") as loader.bar:
            changed = finetune_int8(changed, run.task, loader, length.epochs, rate)
    with progress.step(calibration):
        return quantize(to_onnx(changed, samples.shape[1:]), [samples])


class _Passes:
    """A loader whose passes have at most so many batches, which are counted on a bar."""

    def __init__(self, loader: Iterable[tuple[Tensor, Tensor]], batches: int | None) -> None:
        self.loader, self.batches, self.bar = loader, batches, progress.Bar()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in itertools.islice(self.loader, self.batches):
            yield batch
            self.bar.update()


def _outputs(run: Run, model: ModelProto, split: str, text: str) -> _Outputs:
    labels: list[Tensor] = []

    def inputs() -> Iterator[Tensor]:
        for x, y in loader_of(run.data, split):
            labels.append(y)
            yield x

    logits = run_onnx(model.SerializeToString(), shown(run, inputs(), split, text))
    return logits, torch.cat(labels)


def _answers(run: Run, model: ModelProto, outputs: Mapping[str, _Outputs]) -> dict[str, Answers]:
    content = model.SerializeToString()

    def run_batches(batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        return run_onnx(content, (x for x, _ in batches))

    return {split: answers_of(run, split, *each, run_batches) for split, each in outputs.items()}
