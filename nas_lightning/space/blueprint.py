"""Descriptions of networks read back."""

from collections.abc import Callable
from typing import Any

from nas_lightning.space.base import Blueprint
from nas_lightning.space.cells.blueprint import CellBlueprint
from nas_lightning.space.reference import ReferenceBlueprint

READERS: dict[str, Callable[[dict[str, Any]], Blueprint]] = {
    kind.file: kind.from_dict for kind in (CellBlueprint, ReferenceBlueprint)
}
"""By the name of its file, what makes a blueprint of a description."""
