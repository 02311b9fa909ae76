"""What the page of a run says in words and numbers: the first sentences, key figures, costs and comparisons."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from nas_lightning.errors import brief
from nas_lightning.report.alarms import rejecting
from nas_lightning.report.costs import CostReport, LimitReport
from nas_lightning.report.page.files import RunFiles

MEASURE_NAMES = {
    "flash_bytes": "flash, bytes",
    "ram_bytes": "RAM, bytes",
    "params": "parameters",
    "macs": "MACs",
    "instructions": "instructions",
}
"""In the order of the page."""

FIGURE_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "loss": "loss",
}


@dataclass(frozen=True)
class Tile:
    """A key figure."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """A cost, beside its limit if it has one.

    Attributes:
        name: of the measure.
        value: of network and front end together.
        limit: as text; empty without one.
        share: of the limit, in percent; None without one.
        holds: whether it is kept.
        note: what else is to be said.
    """

    name: str
    value: str
    limit: str = ""
    share: float | None = None
    holds: bool = True
    note: str = ""


def number(value: float | None, digits: int = 4) -> str:
    """A figure as the terminal prints it; a dash where there is none.

    >>> number(0.5), number(None)
    ('0.5000', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"


def interval(ends: tuple[float, float] | None, digits: int = 3) -> str:
    """Two ends in words.

    >>> interval((0.25, 0.5))
    '0.250 to 0.500'
    """
    return "" if ends is None else f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"


def device_of(files: RunFiles) -> str:
    """The name of the chip; empty if none was chosen."""
    name = files.cost.device or ""
    return "" if name.lower() in ("none", "null") else name


def lead(files: RunFiles) -> str:
    """What was gained, in one sentence."""
    metrics, cost = files.metrics, files.cost
    split = metrics.tested
    figures, details = metrics.figures(split), metrics.details(split)
    value = f"has an accuracy of {number(figures.get('accuracy'))} on {split}"
    if details is not None:
        value += f" ({details.right:,} of {details.samples:,} samples; 95 %: {interval(details.accuracy_interval)})"
    what = "network that was found" if metrics.search else "hand-made network"
    sentence = f"The {what} has {cost.params:,} parameters, {_fits(files)}, and {value}"
    control = metrics.control
    if control is not None and control.references:
        best, time = control.references[0], f"{control.epochs} {'epochs' if control.epochs > 1 else 'epoch'}"
        sentence += (
            f"; after {time} of training {_first_choice(files)} has {number(control.found)} on val, and the hand-made "
            f"{best.name} with {best.params:,} parameters {number(best.value)}"
        )
    return sentence + "."


def _first_choice(files: RunFiles) -> str:
    """What the control is about: the network that is kept may be another candidate."""
    control = files.metrics.control
    params = "" if control is None or control.params is None else f", with {control.params:,} parameters,"
    return f"the search's first choice{params}"


def frames(files: RunFiles) -> str:
    """What the frames in the tables of the op weights are, in words."""
    control, selection = files.metrics.control, files.metrics.selection
    is_other = selection is not None and selection.trainings[selection.kept].network != 0
    if (control is not None and control.kept == "random") or is_other:
        return "what the network keeps, which is a drawn candidate and not the search's first choice"
    return "what the network keeps"


def _fits(files: RunFiles) -> str:
    budget, chip = files.cost.budget or {}, device_of(files)
    exceeds = (files.cost.measured and files.cost.measured.exceeds) or {}
    if exceeds or not all(limit.holds for limit in budget.values()):
        return f"does not fit {chip or 'its limits'}"
    shares = ", ".join(f"{MEASURE_NAMES[name].split(',')[0]} {_share(limit)}" for name, limit in budget.items())
    if not budget:
        return f"takes {files.cost.total['flash_bytes']:,} bytes of flash and {files.cost.total['ram_bytes']:,} of RAM"
    return f"fits {chip or 'its limits'} ({shares} of what it may use)"


def _share(limit: LimitReport) -> str:
    return f"{100 * limit.value / limit.limit:.0f} %" if limit.limit else "all"


def alarms(files: RunFiles) -> list[str]:
    """What must be said before what was gained.

    That nearly everything is rejected, and that chance, or a network made by hand, does as well or better.
    """
    control, rejects = files.metrics.control, rejecting(files.metrics)
    found = [_sentence(rejects)] if rejects else []
    if control is None:
        return found
    if control.verdict == "lost":
        found.append(_sentence(control.sentence))
    for reference in control.references:
        if reference.value > control.found:
            found.append(
                f"After as many epochs the hand-made {reference.name} with {reference.params:,} parameters is better "
                f"than {_first_choice(files).rstrip(',')}: {control.metric} {number(reference.value)} on val against "
                f"{number(control.found)}."
            )
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def tiles(files: RunFiles) -> list[Tile]:
    """The key figures."""
    metrics, cost, split = files.metrics, files.cost, files.metrics.tested
    figures, details = metrics.figures(split), metrics.details(split)
    note = f"95 %: {interval(details.accuracy_interval)}" if details else ""
    found = [Tile(f"accuracy on {split}", number(figures.get("accuracy")), note)]
    found.append(Tile("macro F1", number(figures.get("macro_f1")), f"on {split}"))
    int8 = metrics.test_int8 if split == "test" else metrics.val_int8
    if int8 is not None:
        difference = int8["accuracy"] - figures["accuracy"]
        found.append(Tile("accuracy in int8", number(int8["accuracy"]), f"{difference:+.4f} against float"))
    found += [
        Tile("parameters", f"{cost.params:,}"),
        Tile("MACs", f"{cost.macs:,}", "for a sample"),
        Tile("flash", f"{cost.total['flash_bytes']:,}", "bytes" + _front_end(cost)),
        Tile("RAM", f"{cost.total['ram_bytes']:,}", "bytes" + _front_end(cost)),
    ]
    measured = cost.measured
    if measured is not None and measured.milliseconds is not None:
        found.append(Tile("time", f"{measured.milliseconds:.2f}", f"ms on an emulated {measured.core}"))
    elif cost.latency_ms is not None:
        found.append(Tile("time", f"{cost.latency_ms:.2f}", "ms, if each instruction takes one cycle"))
    return found


def _front_end(cost: CostReport) -> str:
    return ", front end included" if cost.front_end is not None else ""


def bars(files: RunFiles) -> list[Bar]:
    """Costs beside their limits."""
    cost, found = files.cost, []
    total = cost.total
    for measure, name in MEASURE_NAMES.items():
        limit = (cost.budget or {}).get(measure)
        if limit is None:
            found.append(Bar(name, f"{total[measure]:,}"))
            continue
        share = 100 * limit.value / limit.limit if limit.limit else 100.0
        found.append(Bar(name, f"{limit.value:,}", f"{limit.limit:,}", share, limit.holds))
    if cost.latency_ms is not None:
        found.append(Bar("time, ms", f"{cost.latency_ms:.2f}", note="if each instruction takes one cycle"))
    return found


def measured(files: RunFiles) -> list[tuple[str, str]]:
    """What the linked program took on an emulated core."""
    found = files.cost.measured
    if found is None:
        return []
    rows = [
        ("core", f"{found.core}, {found.numbers}, {found.compiler}"),
        (
            "network",
            f"{found.flash_bytes:,} bytes of flash, {found.ram_bytes:,} of RAM, {found.stack_bytes:,} of stack",
        ),
        ("instructions", f"{found.instructions:,}"),
        ("whole program", f"{found.program.flash_bytes:,} bytes of flash, {found.program.ram_bytes:,} of RAM"),
    ]
    if found.milliseconds is not None:
        rows.append(("time", f"{found.milliseconds:.2f} ms at {found.clock_mhz:g} MHz, if each takes one cycle"))
    return rows


def figures_table(files: RunFiles) -> list[tuple[str, ...]]:
    """Rows of split, metric, float, int8 and the difference of these; int8 is a dash where there is none."""
    metrics, rows = files.metrics, list[tuple[str, ...]]()
    for split, figures, int8 in (
        ("test", metrics.test, metrics.test_int8),
        ("val", metrics.val, metrics.val_int8),
    ):
        for name in figures or {}:
            value, other = (figures or {})[name], (int8 or {}).get(name)
            difference = "-" if other is None else f"{other - value:+.4f}"
            rows.append((split, FIGURE_NAMES.get(name, name), number(value), number(other), difference))
    return rows


def seconds(files: RunFiles) -> list[tuple[str, float]]:
    """Each stage and its seconds."""
    return list(files.metrics.stage_seconds.items())


def data_rows(files: RunFiles) -> Iterator[tuple[str, str]]:
    """What the data are."""
    described, metrics = files.description, files.metrics
    yield "data", PurePath(metrics.dataset).name if metrics.dataset else "given by a program"  # a page is shown around
    if described is not None:
        yield "channels", f"{len(described.channels)}: {brief(', '.join(described.channels))}"
        window = f"{described.window:,} rows, a new one every {described.stride:,}"
        if described.sampling_rate:
            window += f"; {described.window / described.sampling_rate:.4g} s at {described.sampling_rate:g} Hz"
        yield "window", window
        if described.unit:
            yield "unit", brief(described.unit)
    yield "seed", str(metrics.seed)
    if metrics.front_end:
        yield "front end", metrics.front_end


def split_rows(files: RunFiles) -> list[tuple[str, str, str, str]]:
    """Split, recordings, samples and groups; a dash where it is not known."""
    samples = files.metrics.samples or {}
    names = list(dict.fromkeys([*samples, *files.splits]))
    rows = []
    for name in names:
        report = files.splits.get(name)
        count = f"{samples[name]:,}" if name in samples else "-"
        recordings = "-" if report is None else f"{report.recordings:,}"
        groups = f"{len(report.groups):,}" if report is not None and report.groups else "-"
        rows.append((name, recordings, count, groups))
    return rows
