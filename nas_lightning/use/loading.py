"""Reading a trained network back, from the folder of a run or from its ``deploy.zip``."""

import tempfile
import weakref
from dataclasses import replace
from pathlib import Path

from torch import nn

from nas_lightning.config.targets import trust_config_dir
from nas_lightning.data.features import FrontEnd
from nas_lightning.data.preparation import FILE as PREPARATION
from nas_lightning.data.preparation import Preparation
from nas_lightning.data.values import MISSING_POLICIES
from nas_lightning.errors import InputError
from nas_lightning.export.contract import InputDescription
from nas_lightning.files import damage, read_as, read_record
from nas_lightning.runs.folder import load_network
from nas_lightning.use.classifier import Classifier
from nas_lightning.use.networks import FILES, OnnxNetwork


def load(run: str | Path, config_dir: str | Path | None = None, backend: str = "torch") -> Classifier:
    """The trained network of a run, in eval mode, as an object that classifies recordings.

    As a module it maps what ``model.onnx`` takes ``[B, C, L]`` to logits ``[B, K]``; samples of another shape are
    refused with an ``InputError``. Its ``description`` says what that is: class names, channels, window, sampling rate,
    scale and so on. It is an ``InputDescription``, or None for a run of an older version, which did not write it.

    Nothing in the files can run code; an archive may be a stranger's. Only a class that a folder of your own names is
    called. The ONNX files of an archive run in a process of their own, and its patterns for labels and groups do not
    count.

    Args:
        run: the folder of a run that ended, or its ``deploy.zip``.
        config_dir: the folder of ``--config-dir`` that names a network of your own, if the run has trained one.
        backend: ``torch``, ``onnx`` (``model.onnx``) or ``int8`` (``model_int8.onnx``).

    Raises:
        InputError: if it is none of a run that ended, lacks the file of the backend, or a file is damaged.
    """
    if backend not in FILES:
        raise InputError(f"backend: found {backend!r}; allowed: {', '.join(FILES)}")
    if config_dir is not None:
        trust_config_dir(Path(config_dir))
    path = Path(run)
    if not path.exists():
        raise InputError(
            f"{path}: there is no such folder or file; give the folder of a run that ended, or its deploy.zip"
        )
    if not path.is_file():
        return _classifier(path, backend, is_trusted=True)
    from nas_lightning.export.bundle import unpack_bundle  # at need

    place = tempfile.TemporaryDirectory()
    try:
        unpack_bundle(path, Path(place.name))
        made = _classifier(Path(place.name), backend, is_trusted=False, shown=str(path))
    except BaseException:
        place.cleanup()
        raise
    weakref.finalize(made, place.cleanup)
    return made


def _classifier(folder: Path, backend: str, is_trusted: bool, shown: str = "") -> Classifier:
    """The classifier of a folder.

    Args:
        folder: of a run, or unpacked.
        backend: one of ``FILES``.
        is_trusted: whether its ONNX files run in this process.
        shown: of the archive that it was unpacked from, for messages.
    """
    path = folder / "input.json"
    description = read_as(path, InputDescription.from_dict) if path.exists() else None
    if description is not None:
        with damage(path):
            _, _ = description.shape
    network = _network(folder, backend, description, is_trusted, shown)
    settings = folder / "front_end.json"
    if settings.exists() and backend == "torch":
        network = nn.Sequential(read_as(settings, lambda content: FrontEnd(**content)), network)
    preparation = None
    if description is not None and (folder / PREPARATION).exists():
        preparation = _preparation(folder / PREPARATION, description)
        if not is_trusted:  # a pattern of a stranger could take for ever
            reading = replace(preparation.reading, label_pattern=None)
            preparation = replace(preparation, reading=reading, group_pattern=None)
    return Classifier(network, description, preparation, settings.exists()).eval()


def _network(
    folder: Path, backend: str, description: InputDescription | None, is_trusted: bool, shown: str
) -> nn.Module:
    path = folder / FILES[backend]
    if shown and not path.exists():
        others = [name for name, file in FILES.items() if (folder / file).exists()]
        raise InputError(f"{shown}: has no {path.name}; allowed: backend={' or '.join(others)}")
    if backend == "torch":
        return load_network(folder)
    if not path.exists():
        raise InputError(f"{folder}: has no {path.name}, which backend={backend} needs; allowed: backend=torch")
    if description is None:
        raise InputError(f"{folder}: has no input.json, which backend={backend} needs; allowed: backend=torch")
    return OnnxNetwork(path, description.outputs.count, is_trusted)


def _preparation(path: Path, description: InputDescription) -> Preparation:
    """How samples are made, if it suits what the network takes."""
    found = read_record(path, Preparation)
    with damage(path):
        if found.missing not in MISSING_POLICIES:
            raise ValueError(f"missing: {found.missing!r}")
        front_end = FrontEnd(**found.front_end)
        if found.window != description.window or front_end.rows not in (0, found.window):
            raise ValueError(f"its window of {found.window} rows is not that of input.json")
    return found
