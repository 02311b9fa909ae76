"""What is known of outlines before a search: which values of a factor were good on other data."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas_lightning.space.base import PricedSpace

_PATH = Path(__file__).with_name("prior.json")

_POINTS = 0.3
"""Points of the metric, in percent, by which a value becomes e times as likely."""


@cache
def known_points() -> Mapping[str, Mapping[str, float]]:
    """By factor and value the points of the metric that it added on other data; see docs/notebook/outlines.md."""
    points: Mapping[str, Mapping[str, float]] = json.loads(_PATH.read_text())
    return points


def prior(space: PricedSpace[Any], points: Mapping[str, Mapping[str, float]] | None = None) -> dict[str, Tensor]:
    """Op weights of a space: the more points, the likelier; a value of which nothing is known has none.

    >>> from nas_lightning.space.outlines import OutlineSpace
    >>> from nas_lightning.tasks import Classification
    >>> space = OutlineSpace(Classification(1, 64, 2), {"params": 900}, {"stride": [2, 4]})
    >>> prior(space, {"stride": {"2": 0.3}})["stride"]
    tensor([[0.7311, 0.2689]])

    Args:
        space: whose decisions have one row each.
        points: by table and option; None for those that are known.
    """
    known = known_points() if points is None else points
    return {
        name: torch.tensor([[known.get(name, {}).get(option, 0.0) / _POINTS for option in table.options]]).softmax(1)
        for name, table in space.decisions.items()
    }
