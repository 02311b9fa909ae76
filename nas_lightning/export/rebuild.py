"""The firmware of an archive, written once more from what it was written from.

What is compiled on the machine of who verifies is then text of the installed package; that of the archive is compared
with it.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from nas_lightning.data.features import STEPS, FrontEnd
from nas_lightning.errors import InputError
from nas_lightning.export.allowed import without_notes
from nas_lightning.export.backends import BACKENDS
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.decision import FILES
from nas_lightning.export.firmware import (
    FLOAT,
    INTEGER,
    PACKAGE,
    SOURCES,
    Sources,
    Vectors,
    copy_templates,
    write_firmware,
)
from nas_lightning.export.limits import shown, time_limit
from nas_lightning.export.texts import PREFIX
from nas_lightning.export.ti import FOLDER as TI_FOLDER
from nas_lightning.tasks import Classes

_VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,60}")
_PACKAGE_NAME = re.compile(r"[0-9A-Za-z._-]{1,60}")
_IDENTITY = re.compile(r"\w{1,64}", re.ASCII)
_LARGEST_SETTING = 1 << 20
_SECONDS = 300
_MODEL_FILES = ("model.h", "model.c", "model_float.c", "feature_extraction.h", "feature_extraction.c", *FILES)


def parse_writers(content: Any) -> tuple[dict[str, str], str]:
    """The packages that wrote the C files by ``sources.json``, and the prefix of their names.

    Raises:
        InputError: if it is not as it is written here, or by another version.
    """
    try:
        packages, prefix = content["writers"], content.get("prefix", "")
        if PACKAGE not in packages or not all(_PACKAGE_NAME.fullmatch(name) for name in packages):
            raise ValueError(f"the writers are {', '.join(packages)}")
        if not all(_VERSION.fullmatch(text) for text in packages.values()) or not PREFIX.fullmatch(prefix):
            raise ValueError("a version or the prefix is none")
        return dict(packages), prefix
    except Exception as error:  # what the content leads to if it is of another kind
        raise InputError(f"firmware/{SOURCES}: is not what is written here ({shown(error)})") from error


def parse_sources(content: Any, vectors: Vectors) -> Sources:
    """Take ``sources.json`` apart; nothing in it can become C text but numbers, versions, a prefix and escaped texts.

    Args:
        content: of the file.
        vectors: of the same archive.

    Raises:
        InputError: if it is not as it is written here.
    """
    _, prefix = parse_writers(content)
    try:
        description, backend = InputDescription.from_dict(content["description"]), content["backend"]
        if not _VERSION.fullmatch(description.version) or not _IDENTITY.fullmatch(description.identity):
            raise ValueError("a version or identity is none")
        if backend not in BACKENDS:
            raise ValueError("the back end is none")
        front_end = None if content["front_end"] is None else _front_end(content["front_end"], vectors)
        samples = vectors.inputs if front_end is None or vectors.rows is None else vectors.rows
        description.of_rows(*samples.shape[1:])
        if description.outputs.count != vectors.logits_float.shape[1]:
            raise ValueError(f"it names {description.outputs.count} outputs")
    except Exception as error:  # what the content leads to if it is of another kind
        raise InputError(f"firmware/{SOURCES}: is not what is written here ({shown(error)})") from error
    return Sources(description, front_end, backend, prefix)


def _front_end(settings: Mapping[str, Any], vectors: Vectors) -> FrontEnd:
    """The front end of settings, if it takes the rows that there are."""
    for key, value in settings.items():
        is_number = isinstance(value, int | float) and abs(value) <= _LARGEST_SETTING
        is_step_list = key == "feat_ext_transform" and all(name in STEPS for name in value)
        is_word = key in ("stacking", "log_base") and value in ("1D", "2D1", "e")
        if value is not None and not (is_number or is_step_list or is_word):
            raise ValueError(f"{key}: {value!r}")
    front_end = FrontEnd(**settings)
    if vectors.rows is None or vectors.rows.shape[2] != front_end.rows:
        raise ValueError(f"it takes {front_end.rows} rows")
    return front_end


def rebuild(sources: Sources, floats: ModelProto, integer: ModelProto, vectors: Vectors, folder: Path) -> None:
    """Write the firmware into a folder that is not there yet.

    Raises:
        InputError: if no C can be written for the networks.
    """
    try:
        with time_limit(_SECONDS), np.errstate(all="ignore"):
            write_firmware(folder, without_notes(floats), without_notes(integer), vectors, sources)
    except Exception as error:  # emx-onnx-cgen and ONNX Runtime raise their own kinds
        raise InputError(f"firmware/{FLOAT} or {INTEGER}: no C can be written for it ({shown(error)})") from error


def difference(firmware: Path, rebuilt: Path) -> str | None:
    """The first file of the archive that is not as it was written anew; None if all are.

    Left out are the networks, which the rest is written from, and the files for a vendor's tool.
    """
    found, expected = _files(firmware), _files(rebuilt)
    differ = (name for name in sorted(found | expected) if found.get(name) != expected.get(name))
    return next(differ, None)


def _files(folder: Path) -> dict[str, bytes]:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    names = [name for name in paths if name not in (FLOAT, INTEGER) and not name.startswith(f"{TI_FOLDER}/")]
    return {name: paths[name].read_bytes() for name in names}


def copy_with_templates(firmware: Path, folder: Path, prefix: str = "") -> None:
    """The model files of a firmware folder beside the package's own Makefile and programs.

    Args:
        firmware: whose ``model.c`` and so on are taken, and nothing else.
        folder: made anew.
        prefix: of the names in these files.
    """
    copy_templates(folder, Classes(()).in_c, prefix)  # an archive without sources is that of a classifier
    for name in _MODEL_FILES:
        if (firmware / name).is_file():
            shutil.copy(firmware / name, folder / name)
