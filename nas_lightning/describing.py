"""What the network of a run eats, as its configuration and its data say it."""

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from nas_lightning.config.records import Config
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.loaders import LoaderData
from nas_lightning.data.windows import Windows, check_rate
from nas_lightning.export.contract import FEATURES, ROWS, SCALED, InputDescription

_ROWS_AT_ONCE = 1 << 18


def describe_input(config: Config, data: TimeSeriesData | LoaderData, identity: dict[str, Any]) -> InputDescription:
    """The content of ``input.json``.

    Args:
        config: of the run.
        data: of the run, after ``setup``.
        identity: the content of ``genotype.json`` or ``model.json``.
    """
    channels, length, _ = data.task_shape
    front_end, is_inside = data.front_end, config.export.include_features
    about = InputDescription(
        version=version("nas-lightning"),
        identity=hash_of(identity),
        class_names=tuple(data.class_names),
        x=FEATURES if front_end.names and not is_inside else SCALED if front_end.scale and not is_inside else ROWS,
        shape=(channels, length),
        scale=front_end.scale,
        features=config.data_processing_feature_extraction.feature_extraction_name if front_end.names else None,
        steps=tuple(front_end.names),
        opset=config.export.opset,
    )
    if isinstance(data, LoaderData):
        least, most = _ranges_of_loader(data)
        return replace(about, least=least, most=most).of_rows(channels, length)
    windows = data.splits["train"].windows
    own = (windows.values.shape[1], windows.rows)
    offsets = _offsets(data)
    least, most = _ranges(windows, offsets)
    return replace(
        about,
        shape=own if is_inside else about.shape,
        channels=_channel_names(data),
        window=windows.rows,
        stride=front_end.hop or windows.rows,
        sampling_rate=_rate(data),
        unit=getattr(data, "unit", None),
        offsets=tuple(offsets.tolist()),
        least=least,
        most=most,
    )


def hash_of(identity: dict[str, Any]) -> str:
    """A short name of a network: the hash of what describes it."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _offsets(data: TimeSeriesData) -> np.ndarray:
    """What was taken off each channel before it became float32, float64 ``[C]``."""
    found = getattr(data.recordings, "offsets", None)
    return np.zeros(data.recordings.values.shape[1]) if found is None else np.asarray(found, np.float64)


def _channel_names(data: TimeSeriesData) -> tuple[str, ...]:
    """By name, or else by number in the source."""
    if names := getattr(data.recordings, "channels", None):
        return tuple(names)
    count = data.recordings.values.shape[1]
    return tuple(map(str, data.variables if isinstance(data.variables, list) else range(count)))


def _rate(data: TimeSeriesData) -> float | None:
    """Rows a second of what the windows are cut from; None if it is not known."""
    rates = check_rate(data.recordings.sampling_rates, data.sampling_rate, data.new_sr)
    known = rates[~np.isnan(rates)]
    if not len(known):
        return None
    rate = float(np.median(known))
    if data.new_sr is None:
        return rate
    return data.new_sr if data.anti_alias else rate / max(1, int(rate // data.new_sr))  # every k-th row was kept


def _ranges(windows: Windows, offsets: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The smallest and the largest value of each channel in any sample."""
    total = len(windows.values)
    ends = torch.zeros(total + 1, dtype=torch.int64)
    ends.index_add_(0, windows.starts, torch.ones_like(windows.starts))
    ends.index_add_(0, windows.starts + windows.rows, -torch.ones_like(windows.starts))
    is_used = ends.cumsum(0)[:total] > 0
    parts = [
        windows.values[start : start + _ROWS_AT_ONCE][used]
        for start in range(0, total, _ROWS_AT_ONCE)
        if (used := is_used[start : start + _ROWS_AT_ONCE]).any()
    ]
    least = torch.stack([part.amin(0) for part in parts]).amin(0).double().numpy() + offsets
    most = torch.stack([part.amax(0) for part in parts]).amax(0).double().numpy() + offsets
    return tuple(least.tolist()), tuple(most.tolist())


def _ranges_of_loader(data: LoaderData) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The same of one pass over the training loader."""
    batches = [x for x, _ in data.train_dataloader()]
    least = torch.stack([x.amin((0, 2)) for x in batches]).amin(0)
    most = torch.stack([x.amax((0, 2)) for x in batches]).amax(0)
    return tuple(least.double().tolist()), tuple(most.double().tolist())
