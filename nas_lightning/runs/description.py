"""What the network of a run eats, as its configuration and its data say it."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.loaders import LoaderData
from nas_lightning.export.contract import FEATURES, ROWS, SCALED, InputDescription
from nas_lightning.runs.context import Run
from nas_lightning.space.blueprint import Blueprint


def describe_input(run: Run, blueprint: Blueprint) -> InputDescription:
    """The content of ``input.json`` for the network of a blueprint."""
    config, data = run.config, run.data
    channels, length, _ = data.task_shape
    front_end, is_inside = data.front_end, config.export.include_features
    about = InputDescription(
        version=version("nas-lightning"),
        identity=hash_of(blueprint, data.class_names),
        class_names=tuple(data.class_names),
        x=FEATURES if front_end.names and not is_inside else SCALED if front_end.scale and not is_inside else ROWS,
        shape=(channels, length),
        scale=front_end.scale,
        features=config.data_processing_feature_extraction.feature_extraction_name if front_end.names else None,
        steps=tuple(front_end.names),
        opset=config.export.opset,
    )
    if isinstance(data, LoaderData):
        least, most = _ranges(x for x, _ in data.train_dataloader())
        return replace(about, least=tuple(least.tolist()), most=tuple(most.tolist())).of_rows(channels, length)
    windows = data.splits["train"].windows
    own = (windows.values.shape[1], windows.rows)
    offsets = np.zeros(own[0]) if data.recordings.offsets is None else data.recordings.offsets
    least, most = _ranges(data.splits["train"].raw_batches())
    return replace(
        about,
        shape=own if is_inside else about.shape,
        channels=_channel_names(data),
        window=windows.rows,
        stride=front_end.hop or windows.rows,
        sampling_rate=data.rate,
        unit=data.recordings.unit,
        offsets=tuple(offsets.tolist()),
        least=tuple((least + offsets).tolist()),
        most=tuple((most + offsets).tolist()),
    )


def hash_of(blueprint: Blueprint, class_names: Sequence[str]) -> str:
    """A short name of a network: the hash of the content of ``genotype.json`` or ``model.json``."""
    content = blueprint.to_dict() | {"class_names": list(class_names)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _channel_names(data: TimeSeriesData) -> tuple[str, ...]:
    """By name, or else by number in the source."""
    if data.recordings.channels is not None:
        return data.recordings.channels
    count = data.recordings.values.shape[1]
    return tuple(map(str, data.variables if isinstance(data.variables, list) else range(count)))


def _ranges(batches: Iterable[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value of each channel of samples ``[B, C, L]``, float64 ``[C]``."""
    least, most = zip(*((x.amin((0, 2)), x.amax((0, 2))) for x in batches), strict=True)
    return torch.stack(least).amin(0).double().numpy(), torch.stack(most).amax(0).double().numpy()
