"""What the network of a run eats, as its configuration and its data say it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from nas_lightning.export.contract import FEATURES, ROWS, SCALED, InputDescription
from nas_lightning.runs.context import Run
from nas_lightning.space.base import Blueprint
from nas_lightning.tasks import Task
from nas_lightning.tasks.decisions import Decision


def describe_input(run: Run, blueprint: Blueprint, decision: Decision | None = None) -> InputDescription:
    """The content of ``input.json`` for the network of a blueprint, and what is decided by its outputs, if it is."""
    config, data = run.config, run.data
    front_end, is_inside = data.front_end, config.export.include_features
    about = InputDescription(
        version=version("nas-lightning"),
        identity=hash_of(content_of(blueprint, run.task)),
        outputs=run.task.outputs,
        x=FEATURES if front_end.names and not is_inside else SCALED if front_end.scale and not is_inside else ROWS,
        shape=(run.task.in_channels, run.task.length),
        scale=front_end.scale,
        features=config.data_processing_feature_extraction.feature_extraction_name if front_end.names else None,
        steps=tuple(front_end.names),
        opset=config.export.opset,
        temperature=None if decision is None else decision.temperature,
        threshold=None if decision is None else decision.threshold,
        postprocess=None if decision is None else decision.smoothing,
    )
    rows = data.rows()
    return replace(about, shape=data.raw_shape if is_inside else about.shape, **vars(rows))


def content_of(blueprint: Blueprint, task: Task) -> dict[str, Any]:
    """The content of ``genotype.json`` or ``model.json``."""
    return blueprint.to_dict() | task.outputs.to_dict()


def hash_of(content: Mapping[str, Any]) -> str:
    """A short name of a network: the hash of what describes it."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
