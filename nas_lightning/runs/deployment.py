"""From a trained network to what runs on a device: int8, C files that are proved equal, measurements, one bundle."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn

from nas_lightning import progress
from nas_lightning.config.records import Config
from nas_lightning.cost.code import REFERENCE_CORE, core_named
from nas_lightning.cost.npu import PROFILES, npu_report
from nas_lightning.data.features import FrontEnd
from nas_lightning.data.protocol import SearchData
from nas_lightning.errors import BudgetError, InputError, brief
from nas_lightning.export import emulator, host, ti
from nas_lightning.export.backends import BACKENDS
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.firmware import Sources, Vectors, write_firmware
from nas_lightning.export.int8 import integer_core, quantize
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.export.parity import NOTEWORTHY, relative_difference
from nas_lightning.files import read_as, write_npz
from nas_lightning.report.costs import CostReport, MeasuredFirmware, ProgramSize
from nas_lightning.report.results import FirmwareReport, RunMetrics
from nas_lightning.runs.build import keyed
from nas_lightning.runs.context import Run
from nas_lightning.runs.decisions import judged
from nas_lightning.runs.int8 import export_int8, named
from nas_lightning.runs.judging import loader_of, shown
from nas_lightning.space.reference import OwnBlueprint
from nas_lightning.tasks.confidence import Answers
from nas_lightning.tasks.decisions import Decision
from nas_lightning.tasks.smoothing import begins_of

log = logging.getLogger("nas_lightning")

VECTORS = "vectors.npz"
"""Samples, and what they give: for the parity tests of ``nas-lightning verify``."""

NUM_SAVED = 256
"""Samples at most in ``vectors.npz``."""

NUM_MEASURED = 4
"""Samples that run in the emulator."""


def try_deployment(run: Run, blueprint: OwnBlueprint) -> None:
    """Do with an untrained network of the user's own what is done with the trained one, and keep nothing.

    Raises:
        InputError: if it cannot be exported, quantized or written in C.
    """
    config = run.config
    try:
        model = to_onnx(blueprint.build().eval(), [run.task.in_channels, run.task.length])
        if config.export.int8:
            core, _ = integer_core(quantize(model, [run.data.samples(NUM_MEASURED)]))
            for each in (core, model) if config.compilation.enable else ():
                BACKENDS[config.compilation.backend](each)
    except Exception as error:  # whatever the tools raise for layers that are new to them
        raise InputError(
            f"model: cannot be deployed ({brief(error)}); allowed: other layers, or export.int8=false and "
            "compilation.enable=false"
        ) from error


@dataclass(frozen=True)
class Built:
    """The folder ``firmware``, the samples that it was made with, and what was found when it was checked."""

    folder: Path
    vectors: Vectors
    report: FirmwareReport


def build_firmware(
    run: Run,
    floats: ModelProto,
    integer: ModelProto,
    split: str,
    description: InputDescription,
    answers: Iterable[Answers] = (),
) -> Built:
    """Write ``firmware/``, and prove on a whole split that it computes what the ONNX files compute.

    Args:
        run: its folder gets the files.
        floats: the network without its front end, exported.
        integer: its integer form.
        split: whose samples are run.
        description: of what goes in and comes out.
        answers: what the networks give on the split, on which the C of decisions is proved.

    Raises:
        ParityError: if the C files do not compute the same.
    """
    config, data, firmware = run.config, run.data, run.folder / "firmware"
    rows, inputs = _first_samples(data, split)
    logits = (run_onnx(model.SerializeToString(), [inputs]).numpy() for model in (floats, integer))
    vectors = Vectors(None if rows is None else rows.numpy(), inputs.numpy(), *logits)
    front_end = None if rows is None else _fixed(data.front_end, rows)
    sources = Sources(description, front_end, config.compilation.backend, config.export.prefix)
    with keyed("data"), progress.step("writing the C files"):
        write_firmware(firmware, floats, integer, vectors, sources)
    report = FirmwareReport(
        split=split,
        int8_samples=host.check_int8(firmware, integer, _inputs(run, split, "proof of the int8 C files")),
        float_max_difference=host.check_float(firmware, floats, _inputs(run, split, "proof of the float C files")),
    )
    if rows is not None:
        report = _check_front_end(run, firmware, report)
    if description.decision.has_code:
        report = replace(report, decisions=_check_decisions(firmware, description.decision, answers))
    text = "firmware: int8 equal bit for bit on %d samples of %s; float differs by at most %.2g"
    log.info(text, report.int8_samples, split, report.float_max_difference)
    return Built(firmware, vectors, report)


def _check_decisions(firmware: Path, decision: Decision, all_answers: Iterable[Answers]) -> int:
    """The windows of which the C decides what the run decides, which are all."""
    found = 0
    for answers in all_answers:
        count = len(answers.logits)
        recordings = np.zeros(count, np.int64) if answers.recordings is None else answers.recordings
        found += host.check_decision(firmware, decision, answers.logits, begins_of(recordings))
    log.info("firmware: decision.c decides the same of all of %d windows", found)
    return found


def _inputs(run: Run, split: str, text: str) -> Iterator[Tensor]:
    return shown(run, (x for x, _ in loader_of(run.data, split)), split, text)


def _check_front_end(run: Run, firmware: Path, report: FirmwareReport) -> FirmwareReport:
    """The report with what the C of the front end differs by."""
    front_end = run.data.front_end

    def batches(text: str) -> Iterable[Tensor]:
        return shown(run, run.data.raw_batches(report.split) or (), report.split, text)

    tolerance = _front_end_tolerance(front_end, batches("rounding of the front end"))
    pairs = ((raw, front_end(raw)) for raw in batches("proof of the front end in C"))
    found = host.check_front_end(firmware, pairs, tolerance)
    if found > NOTEWORTHY:
        text = "feature_extraction.c: differs from the front end by up to %.2g of a sample's largest value on %s"
        log.warning(f"{text}, because float32 alone moves the features by that order", found, report.split)
    return replace(report, front_end_tolerance=tolerance, front_end_max_difference=found)


def _front_end_tolerance(front_end: FrontEnd, batches: Iterable[Tensor]) -> float:
    """Ten times what float32 moves the features by itself, as the logarithm of a spectrum near 0 is moved."""
    moved = (relative_difference(front_end(x).numpy(), front_end(x.double()).numpy()) for x in batches)
    return max(host.TOLERANCE, 10 * max(moved))


def _first_samples(data: SearchData, split: str) -> tuple[Tensor | None, Tensor]:
    """Raw rows, if there is a front end in C, and inputs of the network, of the first samples of a split."""
    has_front_end = bool(data.front_end.names) or data.front_end.scale is not None
    if has_front_end and (batches := data.raw_batches(split)) is not None:
        rows = next(iter(batches))[:NUM_SAVED]
        return rows, data.front_end(rows)
    samples = itertools.chain.from_iterable(x for x, _ in loader_of(data, split))
    return None, torch.stack(list(itertools.islice(samples, NUM_SAVED)))


def _fixed(front_end: FrontEnd, rows: Tensor) -> FrontEnd:
    """A front end with frames of a fixed size; one that takes whole recordings takes those of ``rows [N, C, rows]``."""
    return FrontEnd(**front_end.settings | {"frame_size": front_end.frame_size or rows.shape[2]})


def _write_vendor(run: Run, network: nn.Module, firmware: Path) -> None:
    """For C2000 and NPU: the vendor's command line, run if the tool is there."""
    device, task = run.config.device, run.task
    if not ti.is_needed(device.core, device.npu):
        return
    profile = PROFILES[device.npu_profile or "strict"]
    report = npu_report(network, task.in_channels, task.length, profile) if device.npu is not None else ()
    script = ti.write_ti(firmware, device.name, device.core, device.npu, report)
    if script is None:
        log.warning("firmware: the command line of TI's tool is not known for %s", device.core)
        return
    with progress.step("running the tool of TI"):
        outcome = ti.run_tool(script)
    log.info("firmware: %s", outcome or f"{script} is for TI's tool, which is not on PATH; nothing of it was tested")


def measure_firmware(config: Config, built: Built, decision: Decision | None = None) -> MeasuredFirmware | None:
    """What the firmware takes on the device's core; where that cannot be found the log says why.

    What the emulated core computes is compared with the network: bit for bit, in float32 within the tolerance.

    Args:
        config: of the run; ``cost.weight_bits`` of 8 measures int8, more measures float32.
        built: the firmware.
        decision: what is decided by its logits.

    Raises:
        ParityError: if the emulated core computes something else.
    """
    core = core_named(config.device.core) if config.device.core else REFERENCE_CORE
    if core is None:
        log.warning("firmware: not measured, because no %s can be emulated", config.device.core)
        return None
    missing = host.missing_tools(emulator.TOOLS)
    if missing:
        log.warning("firmware: not measured on %s, because %s is not installed", core, " and ".join(missing))
        return None
    is_int8, clock = config.cost.weight_bits == 8, config.device.clock_mhz
    model, vectors = "model.c" if is_int8 else "model_float.c", built.vectors
    measured = emulator.measure(built.folder, core, model, vectors.inputs[:NUM_MEASURED])
    expected = (vectors.logits_int8 if is_int8 else vectors.logits_float)[:NUM_MEASURED]
    host.compare(built.folder / model, measured.outputs, expected, tolerance=0.0 if is_int8 else host.TOLERANCE)
    front_end, chain, program = None, host.NETWORK, measured
    if vectors.rows is not None:
        front_end = _measure_front_end(built, core, model)
        chain, program = host.BOTH, emulator.measure(built.folder, core, model, vectors.rows[:NUM_MEASURED], host.BOTH)
    decides = _measure_decision(built, core, clock, expected, decision or Decision())
    found = MeasuredFirmware(
        **vars(measured.usage(clock)),
        core=core,
        clock_mhz=clock,
        numbers="int8" if is_int8 else "float32",
        compiler=emulator.compiler_version(),
        front_end=None if front_end is None else front_end.usage(clock),
        decision=decides,
        program=ProgramSize(
            flash_bytes=program.program_flash_bytes,
            ram_bytes=program.program_ram_bytes,
            stack_bytes=program.stack_bytes,
        ),
        exceeds=_exceeds(config, built.folder, core, model, chain, program.stack_bytes, decides),
    )
    log.info("firmware on %s: %s", core, ", ".join(f"{name} {getattr(found, name):,}" for name in emulator.FIGURES))
    return found


def _measure_front_end(built: Built, core: str, model: str) -> emulator.Measured:
    vectors, tolerance = built.vectors, built.report.front_end_tolerance
    assert vectors.rows is not None  # nosec B101 # for mypy: there is a front end
    assert tolerance is not None  # nosec B101 # for mypy: there is a front end
    found = emulator.measure(built.folder, core, model, vectors.rows[:NUM_MEASURED], host.FRONT_END)
    path = built.folder / "feature_extraction.c"
    host.compare(path, found.outputs, vectors.inputs[:NUM_MEASURED], tolerance)
    return found


def _measure_decision(
    built: Built, core: str, clock: float | None, logits: NDArray[np.float32], decision: Decision
) -> emulator.Usage | None:
    """What the C of a decision takes, which must decide the same on the core; None without any."""
    if not decision.has_code:
        return None
    begins = np.arange(len(logits)) == 0
    chain, labels = host.WINDOW, decision.labels(logits)
    if decision.smoothing is not None:
        chain, labels = host.STREAM, decision.smoothed(logits, begins)
    found = emulator.measure(built.folder, core, host.EMPTY, host.decision_inputs(logits, begins), chain)
    path = built.folder / "decision.c"
    host.check_bits(path, found.outputs, labels[:, None].astype(np.float32), "the run on an emulated core")
    return found.usage(clock)


def _exceeds(
    config: Config, firmware: Path, core: str, model: str, chain: int, stack: int, besides: emulator.Usage | None
) -> dict[str, int] | None:
    """By how many bytes the program, and what it needs besides, exceed each memory; None if these are not known."""
    if config.device.flash_bytes is None or config.device.ram_bytes is None:
        return None
    memories = {"flash_bytes": config.device.flash_bytes, "ram_bytes": config.device.ram_bytes}
    if besides is not None:
        memories = {name: memory - getattr(besides, name) for name, memory in memories.items()}
    return emulator.overflow(firmware, core, model, chain, memories | {"stack_bytes": stack})


def check_fits(config: Config, cost: CostReport) -> None:
    """Refuse a program that the linker could not place in the device's memories.

    Raises:
        BudgetError: with the memories and what is needed.
    """
    if cost.measured is not None and (exceeds := cost.measured.exceeds):
        memories = {name: getattr(config.device, name) for name in exceeds}
        needed = {name: memories[name] + count for name, count in exceeds.items()}
        what = f"the program linked for {config.device.name} does not fit its memories,"
        raise BudgetError(what, memories, list(exceeds), needed)


def deploy(
    run: Run, network: nn.Module, metrics: RunMetrics, cost: CostReport, answers: Answers
) -> tuple[RunMetrics, CostReport]:
    """All of it, as far as the configuration asks for it.

    Args:
        run: its folder gets the files, and has ``input.json``.
        network: the trained network, without its front end.
        metrics: with its figures on val and, if it was tested, on test.
        cost: of the network.
        answers: what it gives on the split whose figures count.

    Returns:
        both with what was found.
    """
    if not run.config.export.int8:
        return metrics, cost
    model = to_onnx(network, [run.task.in_channels, run.task.length])
    description = read_as(run.folder / "input.json", InputDescription.from_dict)  # that of model.onnx
    floats = {split: metrics.figures(split) for split in dict.fromkeys(("val", metrics.tested))}
    int8 = export_int8(run, network, model, floats, description)
    metrics = judged(replace(metrics, int8=int8.report), description.decision, named(int8.answers))
    metrics = metrics.with_figures(named(int8.figures)).with_details(named(int8.details))
    if not run.config.compilation.enable:
        return metrics, cost
    proved = (int8.answers[metrics.tested], answers)
    built = build_firmware(run, model, int8.integer, metrics.tested, description, proved)
    _write_vendor(run, network, built.folder)
    cost = replace(cost, measured=measure_firmware(run.config, built, description.decision))
    write_npz(run.folder / VECTORS, {name: array for name, array in vars(built.vectors).items() if array is not None})
    return replace(metrics, firmware=built.report), cost
