"""Descriptions of networks read back."""

from collections.abc import Callable
from typing import Any

from nas_lightning.space.base import Blueprint
from nas_lightning.space.cells.blueprint import CellBlueprint
from nas_lightning.space.reference import ReferenceBlueprint
from nas_lightning.space.trunk import TrunkBlueprint


def _by_hand(content: dict[str, Any]) -> Blueprint:
    """What ``model.json`` describes."""
    kind = TrunkBlueprint if "blocks" in content else ReferenceBlueprint
    return kind.from_dict(content)


READERS: dict[str, Callable[[dict[str, Any]], Blueprint]] = {
    CellBlueprint.file: CellBlueprint.from_dict,
    ReferenceBlueprint.file: _by_hand,
}
"""By the name of its file, what makes a blueprint of a description."""
