"""Writing files whole: a temporary file beside the target, then a rename."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content``; a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text whole."""
    write_bytes(path, content.encode())


def json_bytes(content: Any) -> bytes:
    """What ``write_json`` writes."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole; NaN and infinity are refused with a ``ValueError``."""
    write_bytes(path, json_bytes(content))


def read_json(path: Path) -> Any:
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays whole."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(path, content.getvalue())


def has_ended(run_folder: Path) -> bool:
    """Whether the run of this folder went through to its last file."""
    metrics = run_folder / "metrics.json"
    return metrics.is_file() and "training" in read_json(metrics)
