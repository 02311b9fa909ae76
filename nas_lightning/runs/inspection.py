"""A look at data before a search: ``nas-lightning inspect``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sklearn.decomposition import PCA
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d
from torch.utils.tensorboard import SummaryWriter

from nas_lightning import progress
from nas_lightning.config.compose import in_keys
from nas_lightning.config.records import Config, with_values
from nas_lightning.data.annotations import SPLITS
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.moments import moments
from nas_lightning.data.windows import DifferentLengths, Samples
from nas_lightning.errors import InputError, brief, printable
from nas_lightning.files import write_json
from nas_lightning.report.inspection import projection_picture, spectrum_picture, windows_picture
from nas_lightning.runs.build import build_recordings, set_up
from nas_lightning.runs.checks import check_config

_MOST_SAMPLES = 2000
_MOST_VALUES = 1024
_BATCH = 64
_CHUNK_ROWS = 1 << 20
_MOST_ROWS = 1 << 22
_IMBALANCE = 10
_CLIPPED_SHARE = 0.01


@dataclass(frozen=True)
class Channel:
    """The range of one channel over all recordings.

    Attributes:
        low: the smallest value.
        high: the largest value.
        mean: the mean.
        std: the standard deviation.
        clipped_share: share of the rows in which the value is the smallest or the largest, and so is its neighbour.
    """

    low: float
    high: float
    mean: float
    std: float
    clipped_share: float


def inspect(config: Config, folder: Path) -> dict[str, Any]:
    """Print and draw what a search would get: classes, lengths, ranges, windows, spectra, a projection, warnings.

    Leaves ``inspection.json``, ``windows.png``, ``spectra.png``, ``projection.png``, the lists of the splits and the
    same pictures for TensorBoard in ``folder``.

    Returns:
        The content of ``inspection.json``.

    Raises:
        InputError: if the configuration or the data are wrong.
    """
    check_config(config)
    data, proposals = _read(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"hydra.run.dir: {folder} cannot be made ({error.strerror})") from error
    with progress.step("looking at the values"):
        channels = channel_ranges(data.recordings.values)
    decisions, notes = ([in_keys(text, "data") for text in texts] for texts in (data.decisions, data.notes))
    warnings = proposals + notes + find_warnings(data, channels)
    _print(data, channels, decisions, warnings)
    with progress.step("writing the lists of the splits"):
        data.write_annotations(folder)
    lengths = data.recordings.lengths
    content = {
        "classes": {n: int((data.recordings.labels == i).sum()) for i, n in enumerate(data.recordings.label_names)},
        "lengths": {"least": int(lengths.min()), "median": float(np.median(lengths)), "most": int(lengths.max())},
        "channels": [vars(channel) for channel in channels],
        "samples": {split: len(data.splits[split]) for split in SPLITS},
        "sample_shape": list(data.sample_shape),
        "groups": _groups(data),
        "decisions": decisions,
        "warnings": warnings,
    }
    write_json(folder / "inspection.json", content)
    with progress.step("drawing"):
        _draw(data, folder)
    Console().print(f"pictures and figures: {folder}", soft_wrap=True)
    return content


def _read(config: Config) -> tuple[TimeSeriesData, list[str]]:
    """The data; where recordings of different lengths have no window yet, one is taken to look at, and that is said."""
    data = build_recordings(config)
    data.batch_size = 1  # data that are too few to train on can be looked at
    try:
        set_up(data)
    except DifferentLengths as error:
        if not isinstance(front_end := config.data.get("front_end"), dict):
            raise
        size = error.frame_sizes[0]
        data = build_recordings(with_values(config, {"data.front_end": front_end | {"frame_size": size}}))
        data.batch_size = 1
        set_up(data)
        return data, [f"{error}; shown are windows of {size:,}, and a search needs one of yours"]
    return data, []


def channel_ranges(values: Tensor) -> list[Channel]:
    """The range of each channel of rows ``[T, C]``, looked at in chunks."""
    low, high = values.amin(0), values.amax(0)
    held = torch.zeros(values.shape[1])
    for chunk in values.split(_CHUNK_ROWS):
        at_end = (chunk == low) | (chunk == high)
        held += (at_end[1:] & (chunk[1:] == chunk[:-1])).sum(0)
    mean, std = moments(chunk.T for chunk in values.split(_CHUNK_ROWS))
    share = torch.where(high > low, held / len(values), 0.0)
    return [Channel(*map(float, figures)) for figures in zip(low, high, mean, std, share, strict=True)]


def find_warnings(data: TimeSeriesData, channels: list[Channel]) -> list[str]:
    """What is likely to spoil a result, one sentence each."""
    names, found = data.recordings.known_names, []
    counts = np.bincount(data.splits["train"].labels.numpy(), minlength=len(names))
    if counts.max() > _IMBALANCE * counts.min():
        rare, common = names[int(counts.argmin())], names[int(counts.argmax())]
        found.append(
            f"the train split has {counts.max()} samples of {common} and {counts.min()} of {rare}; look at macro F1, "
            "and give more of the rare class if you can"
        )
    for number, channel in enumerate(channels):
        name = data.recordings.channel(number)
        if channel.low == channel.high:
            found.append(f"{name} is {channel.low:g} everywhere; leave it out by variables")
        elif channel.clipped_share > _CLIPPED_SHARE:
            found.append(
                f"{name} stays at its smallest or largest value in {channel.clipped_share:.0%} of the rows; the "
                "recordings may be clipped"
            )
    return found


def _print(data: TimeSeriesData, channels: list[Channel], decisions: list[str], warnings: list[str]) -> None:
    console, recordings = Console(), data.recordings
    lengths = recordings.lengths
    console.print(
        f"{recordings.source}: {len(recordings):,} recordings of {lengths.min():,} to {lengths.max():,} rows"
        f"{_seconds(data)} and {len(channels)} channels; a sample is {data.sample_shape[0]} x {data.sample_shape[1]}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    for decision in decisions:
        console.print(f"read: {decision}", soft_wrap=True, highlight=False, markup=False)
    classes = Table("class", "recordings", *(f"{split} samples" for split in SPLITS))
    for number, name in enumerate(data.recordings.label_names):
        parts = data.splits if number < len(data.recordings.known_names) else data.unknown_splits
        samples = [str(int((parts[split].labels == number).sum())) if split in parts else "0" for split in SPLITS]
        classes.add_row(escape(printable(name)), str(int((recordings.labels == number).sum())), *samples)
    console.print(classes)
    for split, groups in _groups(data).items():
        text = f"groups of {split}: {len(groups):,} ({brief(', '.join(groups))})"
        console.print(text, soft_wrap=True, highlight=False, markup=False)
    ranges = Table("channel", "name", "least", "most", "mean", "deviation")
    names = recordings.channels or [""] * len(channels)
    for number, channel in enumerate(channels):
        figures = (channel.low, channel.high, channel.mean, channel.std)
        ranges.add_row(str(number), escape(printable(names[number])), *(f"{figure:.4g}" for figure in figures))
    console.print(ranges)
    for warning in warnings:
        console.print(f"warning: {warning}", soft_wrap=True, highlight=False, markup=False)


def _seconds(data: TimeSeriesData) -> str:
    """The shortest and the longest recording in seconds, where all have a rate, or the user gives one."""
    own = data.recordings.sampling_rates
    rates = own if data.sampling_rate is None else np.full(len(own), data.sampling_rate)
    if np.isnan(rates).any():
        return ""
    seconds = data.recordings.lengths / rates
    return f" ({seconds.min():.3g} to {seconds.max():.3g} s)"


def _groups(data: TimeSeriesData) -> dict[str, list[str]]:
    """The groups of each split, by name; nothing where they are not known."""
    groups = data.recordings.groups
    if groups is None:
        return {}
    return {split: sorted(groups.taken(rows[:, 0]).present) for split, rows in data.segments.items()}


def _draw(data: TimeSeriesData, folder: Path) -> None:
    train, names = data.splits["train"], data.recordings.known_names
    by_class = [torch.nonzero(train.labels == number).flatten() for number in range(len(names))]
    most = max(3, min(500, _MOST_ROWS // train.windows.rows))
    raw = [train.windows.gather(own[:: max(1, len(own) // most)]).numpy() for own in by_class]
    points, labels = _project(train)
    pictures = {
        "windows": windows_picture(raw, names),
        "spectra": spectrum_picture(raw, names, data.rate),
        "projection": projection_picture(points, labels, names),
    }
    with SummaryWriter(str(folder / "tensorboard" / "inspect")) as writer:
        for name, picture in pictures.items():
            picture.savefig(folder / f"{name}.png")
            writer.add_figure(name, picture)


def _project(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components of up to 2,000 samples ``[N, 2]``, and their labels.

    Long samples are averaged over time down to some 1,024 values, which is enough for a picture.
    """
    chosen = torch.arange(len(samples))[:: max(1, len(samples) // _MOST_SAMPLES)]
    x, _ = samples[0]
    steps = min(x.shape[1], max(1, _MOST_VALUES // x.shape[0]))
    parts = [adaptive_avg_pool1d(samples.__getitems__(part)[0], steps) for part in chosen.split(_BATCH)]
    flat = torch.cat(parts).flatten(1).numpy().astype(np.float64)
    spread = flat.std(0)
    flat = (flat - flat.mean(0)) / np.where(spread > 0, spread, 1)
    num = min(2, *flat.shape)
    points = PCA(num, random_state=0).fit_transform(flat)
    return np.pad(points, ((0, 0), (0, 2 - num))), samples.labels[chosen].numpy()
