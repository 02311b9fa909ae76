"""A model card: what a network is, how good it is and where that ends, in the form of Hugging Face's hub."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from nas_lightning.errors import brief
from nas_lightning.export.contract import InputDescription
from nas_lightning.report.card_scores import class_paragraphs, score_paragraphs, sentence_of_no_class
from nas_lightning.report.costs import CostReport
from nas_lightning.report.markdown import escaped, table
from nas_lightning.report.results import RunMetrics

UNKNOWN = "unknown"
"""The licence of a network of which nobody has said one; an identifier of the hub, too."""

_TASK = "time-series-classification"
_TAGS = (_TASK, "neural-architecture-search", "tinyml", "onnx", "microcontroller")
_METRICS = {  # by our name: the hub's, its arguments, and words
    "accuracy": ("accuracy", {}, "Accuracy"),
    "balanced_accuracy": ("balanced_accuracy", {}, "Balanced accuracy"),
    "macro_f1": ("f1", {"average": "macro"}, "Macro F1"),
}
_RULES = {
    "amongst_files": "whole recordings, drawn at random",
    "by_group": "whole groups, drawn at random",
    "within_files": "by time, within each recording",
    "amongst_windows": "windows, drawn at random",
    "source": "as the data came",
    "lists": "named by lists",
}
_MOST_NAMES = 50
_FEW = 200  # recordings: below it one of them can be seen in the second decimal


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """A split, as ``annotations/report.json`` describes it; a run of an older version did not write its rule."""

    recordings: int
    rows: int
    classes: dict[str, int]
    groups: tuple[str, ...] | None = None
    rule: str | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card is made of.

    Attributes:
        metrics: the content of ``metrics.json``.
        cost: the content of ``cost.json``.
        description: the content of ``input.json``.
        splits: the content of ``annotations/report.json``; empty where a program made the splits.
        licence: an identifier of the hub.
    """

    metrics: RunMetrics
    cost: CostReport
    description: InputDescription
    splits: Mapping[str, SplitReport]
    licence: str = UNKNOWN

    @property
    def dataset(self) -> str:
        """The name of the data on one line, without the folder that they lay in."""
        return brief((self.metrics.dataset or "").replace("\\", "/").rstrip("/").rpartition("/")[2]) or "own data"

    @property
    def title(self) -> str:
        """A name of the network."""
        return f"{self.dataset}-{self.metrics.preset}-{self.description.identity}"

    def text(self) -> str:
        """The card: a head in YAML, and a body in Markdown."""
        head = yaml.safe_dump(_head(self), sort_keys=False, allow_unicode=True)
        parts = (_summary, _use, _input, _data, _figures, _scores, _control, _int8, _cost, _limits, _making)
        body = "\n\n".join(paragraph for part in parts for paragraph in part(self))
        return f"---\n{head}---\n\n{body}\n"


def _head(card: Card) -> dict[str, Any]:
    split = card.metrics.tested
    found = [(metric, name) for name, metric in _METRICS.items() if name in card.metrics.figures(split)]
    results = [
        {"type": kind, "value": figures[name], "name": f"{words}{of}", **({"args": {**args}} if args else {})}
        for figures, of in _float_and_int8(card.metrics, split)
        for (kind, args, words), name in found
    ]
    name = card.dataset
    return {
        "license": card.licence,
        "library_name": "nas-lightning",
        "pipeline_tag": "other",  # the hub has none for the classification of time series
        "tags": list(_TAGS),
        "metrics": [kind for (kind, _, _), _ in found],
        "model-index": [
            {
                "name": card.title,
                "results": [
                    {
                        "task": {"type": _TASK, "name": "Time series classification"},
                        "dataset": {"type": name, "name": name, "split": split},
                        "metrics": results,
                    }
                ],
            }
        ],
    }


def _float_and_int8(metrics: RunMetrics, split: str) -> Iterator[tuple[Mapping[str, float], str]]:
    yield metrics.figures(split), ""
    if (int8 := getattr(metrics, f"{split}_int8")) is not None:
        yield int8, " (int8)"


def _summary(card: Card) -> Iterator[str]:
    yield f"# {escaped(card.title)}"
    search = card.metrics.search
    how = "made by hand and trained" if search is None else f"found by architecture search ({escaped(search.strategy)})"
    yield (
        f"A 1-D convolutional network of {card.cost.params:,} parameters that classifies windows of time series, {how} "
        f"with nas-lightning {escaped(card.description.version)}, preset {escaped(card.metrics.preset)}, "
        f"seed {card.metrics.seed}."
    )


def _use(card: Card) -> Iterator[str]:
    yield "## Intended use"
    classes = card.description.outputs.to_dict().get("class_names", [])
    yield (
        f"It takes a window of {card.description.window:,} readings of {len(card.description.channels)} channels, and "
        f"says which of these classes it is: {_names(classes)}."
    )
    yield (
        "It is meant for recordings that come about as those that it was trained with: the same sensors, places, rates "
        "and units. It was not examined for anything else, and not for decisions on which safety hangs."
    )


def _names(names: Any) -> str:
    shown = ", ".join(map(escaped, names[:_MOST_NAMES]))
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES:,} others"


def _input(card: Card) -> Iterator[str]:
    about = card.description
    rate = "not known" if about.sampling_rate is None else f"{about.sampling_rate:g} Hz"
    yield "## Input"
    rows = [
        ("channels, in order", _names(about.channels)),
        ("readings of a window", f"{about.window:,}"),
        ("sampling rate", rate),
        ("unit", "that of the recordings" if about.unit is None else escaped(about.unit)),
        (
            "taken off each channel",
            ", ".join(f"{each:g}" for each in about.offsets) if any(about.offsets) else "nothing",
        ),
        ("divided by", "nothing" if about.scale is None else f"{about.scale:g}"),
        ("range in training", _ranges(about)),
        ("front end", "none" if about.features is None else escaped(about.features)),
    ]
    yield table(("what", "it is"), rows)
    yield f"For `model.onnx`: {escaped_sentence(about.sentence())}"
    yield _alignment(card)


def _ranges(about: InputDescription) -> str:
    found = [f"{least:g} to {most:g}" for least, most in zip(about.least, about.most, strict=True)]
    return ", ".join(found[:_MOST_NAMES]) or "not known"


def escaped_sentence(text: str) -> str:
    """A sentence of ours that may quote a unit of the data; it is not cut."""
    return " ".join(escaped(word) for word in text.split())


def _alignment(card: Card) -> str:
    window, train = card.description.window, card.splits.get("train")
    if train is not None and train.rows == train.recordings * window:
        return (
            f"A window of the training was a whole recording of {window:,} readings. So windows must be aligned as "
            "those recordings are: begin yours where a recording would begin. " + _moved(card.metrics)
        )
    return (
        f"In training the first window began with a recording, and each next one {card.description.stride:,} readings "
        "later. They are aligned with nothing else, so yours may begin anywhere. " + _moved(card.metrics)
    )


def _moved(metrics: RunMetrics) -> str:
    """What a window that begins elsewhere does to the answers."""
    found = metrics.alignment
    if found is None:
        return "How the network answers to a window that begins elsewhere was not measured."
    verdict = "clearly worse" if found.clear else "no clear difference"
    return (
        f"On val, with windows that begin {found.steps:,} steps earlier or later, the {found.metric} is "
        f"{found.moved:.4f} instead of {found.value:.4f}, which is {verdict}."
    )


def _data(card: Card) -> Iterator[str]:
    yield "## Data"
    yield f"The network was trained with: {escaped(card.dataset)}."
    if not card.splits:
        yield "The program that trained it made the splits; what decided them is not known."
        return
    rows = [
        (
            split,
            _RULES.get(found.rule or "", "not known"),
            f"{found.recordings:,}",
            f"{found.rows:,}",
            "not known" if found.groups is None else f"{len(found.groups):,}",
            ", ".join(f"{escaped(name)} {count:,}" for name, count in [*found.classes.items()][:_MOST_NAMES]),
        )
        for split, found in card.splits.items()
    ]
    yield table(("split", "which recordings", "recordings", "rows", "groups", "recordings of each class"), rows)
    yield "No row of a recording is in two splits. Which recording is in which stands in `annotations/`."


def _figures(card: Card) -> Iterator[str]:
    metrics, counts = card.metrics, {split: _measured(card, found) for split, found in card.splits.items()}
    yield "## Figures"
    rows = []
    for split in ("test", "val"):
        for numbers, figures in (("float", getattr(metrics, split)), ("int8", getattr(metrics, f"{split}_int8"))):
            if figures is not None:
                on = f"{counts[split]:,} recordings" if split in counts else "not known"
                found = (f"{figures[name]:.4f}" if name in figures else "" for name in _METRICS)
                rows.append((split, numbers, on, *found))
    yield table(("split", "numbers", "measured on", *(words for _, _, words in _METRICS.values())), rows)
    if metrics.test is None:
        yield (
            "Nothing was tested. The epoch and the network were chosen by `val`, so its figures are better than those "
            "of new recordings."
        )
    else:
        yield (
            "`test` was read once, at the end. The epoch and the network were chosen by `val`, so its figures are the "
            "better ones and say less."
        )
    yield from class_paragraphs(card.metrics, _MOST_NAMES)


def _measured(card: Card, split: SplitReport) -> int:
    """Recordings of the classes; those of no class are no part of the figures."""
    known = card.description.outputs.to_dict().get("class_names", [])
    return split.recordings - sum(count for name, count in split.classes.items() if name not in known)


def _scores(card: Card) -> Iterator[str]:
    return score_paragraphs(card.metrics)


def _control(card: Card) -> Iterator[str]:
    yield "## Control"
    control = card.metrics.control
    if control is None:
        yield "What was found was not held against random networks of the same space."
    else:
        yield f"Verdict: {escaped(control.verdict)}. In words: {escaped_sentence(control.sentence)}."


def _int8(card: Card) -> Iterator[str]:
    found, firmware = card.metrics.int8, card.metrics.firmware
    yield "## 8-bit integers"
    if found is None:
        yield "There is no int8 form."
        return
    tried = ", ".join(f"{escaped(method)} {value:.4f}" for method, value in found.tried.items())
    yield f"`model_int8.onnx` was quantized by {escaped(found.method)}. Tried, with the figure on `val`: {tried}."
    if firmware is not None:
        yield (
            f"The C files in int8 give the bits of the integer network on all {firmware.int8_samples:,} samples of "
            f"`{escaped(firmware.split)}` that were run; the float C differs by at most "
            f"{firmware.float_max_difference:.2g}."
        )


def _cost(card: Card) -> Iterator[str]:
    cost, measured = card.cost, card.cost.measured
    yield "## Cost"
    rows = [
        ("parameters", f"{cost.params:,}"),
        ("multiply-accumulates of a window", f"{cost.macs:,}"),
        ("flash, estimated", f"{cost.flash_bytes:,} bytes"),
        ("RAM, estimated", f"{cost.ram_bytes:,} bytes"),
        ("numbers", f"{cost.weight_bits}-bit weights, {cost.activation_bits}-bit activations"),
        ("device", "none was named" if cost.device is None else escaped(cost.device)),
    ]
    if cost.front_end is not None:
        front_end = cost.front_end
        text = f"{front_end.macs:,} MACs, {front_end.flash_bytes:,} bytes of flash, {front_end.ram_bytes:,} of RAM"
        rows.append(("front end, besides", text))
    if measured is not None:
        text = (
            f"{measured.flash_bytes:,} bytes of flash, {measured.ram_bytes:,} of RAM, {measured.stack_bytes:,} of "
            f"stack, {measured.instructions:,} instructions ({escaped(measured.numbers)})"
        )
        rows.append((f"measured on an emulated {escaped(measured.core)}", text))
        if measured.milliseconds is not None:
            rows.append(("time of a window", f"{measured.milliseconds:.2f} ms, if each instruction took one cycle"))
    for name, limit in (cost.budget or {}).items():
        rows.append((f"limit on {escaped(name)}", f"{limit.limit:,}, of which it has {limit.value:,}"))
    yield table(("what", "it takes"), rows)


def _limits(card: Card) -> Iterator[str]:
    yield "## Limits"
    yield "\n".join(f"- {sentence}" for sentence in _known_limits(card))


def _known_limits(card: Card) -> Iterator[str]:
    yield sentence_of_no_class(card.metrics, card.description.threshold)
    tested = card.splits.get(card.metrics.tested)
    if tested is not None:
        yield _strangers(tested, card.splits.get("train"))
        if (count := _measured(card, tested)) < _FEW:
            yield (
                f"The figures are of {count:,} recordings: one of them is worth {100 / max(count, 1):.1f} points of "
                "accuracy."
            )
    if card.metrics.control is None or card.metrics.control.verdict != "won":
        yield "Nothing shows that the search found more than a random choice in its space would have."
    yield "What the training data lack (sensors, places, people, wear, weather) no figure here can show."
    if card.cost.measured is not None:
        yield "Instructions were counted in an emulator; a board takes longer than one cycle for many of them."


def _strangers(tested: SplitReport, train: SplitReport | None) -> str:
    """Whether those whose recordings were tested were seen in the training."""
    if tested.rule in ("within_files", "amongst_windows"):
        return "Parts of the same recordings were trained with and tested: figures of new recordings are lower."
    if tested.groups is None or train is None or train.groups is None:
        return (
            "The data name no groups (people, machines): the same ones may have been trained with and tested, and "
            "figures of new ones may be lower."
        )
    seen = len(set(tested.groups) & set(train.groups))
    if seen:
        return (
            f"Of {len(tested.groups):,} groups that were tested {seen:,} were trained with, too; new ones may do worse."
        )
    return "No group (person, machine) that was tested was trained with, so the figures are of new ones."


def _making(card: Card) -> Iterator[str]:
    seconds = ", ".join(f"{stage} {found:.0f}" for stage, found in card.metrics.stage_seconds.items())
    yield "## How it was made"
    yield (
        f"Seconds: {seconds}. Every setting stands in `config.yaml`, the network in `genotype.json` or `model.json`, "
        "all figures in `metrics.json` and `cost.json`. This page was made of these files by `nas-lightning card`."
    )
