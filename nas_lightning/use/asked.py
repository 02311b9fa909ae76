"""What the commands ``predict`` and ``evaluate`` are told."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nas_lightning.config.compose import compose_config
from nas_lightning.config.records import Config
from nas_lightning.config.settings import check_settings
from nas_lightning.config.typed import plain
from nas_lightning.data.reading import ROLES, Reading
from nas_lightning.errors import InputError, brief
from nas_lightning.runs.checks import check_label_column
from nas_lightning.use.classifier import UNNEEDED, Classifier
from nas_lightning.use.loading import load
from nas_lightning.use.tables import BY

_OWN = {"predict": ("out", "backend", "by"), "evaluate": ("out", "backend")}
_RATE = "data_processing_feature_extraction.sampling_rate"
_NOT_SAID = ("variables", "is_labelled", "is_for_use", "may_lack")
_READING = {f"dataset.{each.name}" for each in fields(Reading) if each.name not in _NOT_SAID}
_COLUMNS = "dataset.columns."
_MORE = ("dataset.missing", "dataset.group_pattern")
_WORD = re.compile(r"[a-z_.]+", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """A command's words.

    Attributes:
        run: the folder of a run, or its ``deploy.zip``.
        data: the path of the recordings.
        out: the file to be written; None if there is none.
        backend: see ``load``.
        by: what a row of the file is of, one of ``tables.BY``.
        config: the configuration with what was said of the recordings.
        keys: that were said.
    """

    run: Path
    data: str
    out: Path | None = None
    backend: str = "torch"
    by: str = "window"
    config: Config = field(default_factory=Config)
    keys: frozenset[str] = frozenset()

    def classifier(self, config_dir: Path | None, backend: str | None = None) -> Classifier:
        """The classifier of the run, with what was said of the recordings in place of what its training was told."""
        made = load(self.run, config_dir, backend or self.backend)
        own = made.prepared
        more = {key.rpartition(".")[2]: self._value(key) for key in _MORE if key in self.keys}
        if f"{_COLUMNS}group" in self.keys:
            more = {"group_pattern": None} | more
        said = {key.split(".")[1]: self._value(key) for key in self.keys & _READING}
        columns, given = asdict(self.config.dataset.columns), self._roles
        said["columns"] = {**own.reading.columns, **{role: columns[role] for role in given}}
        said["may_lack"] = tuple(role for role in UNNEEDED if role not in given)
        made.preparation = replace(own, reading=replace(own.reading, **{"labels": None, **said}), **more)
        return made

    @property
    def _roles(self) -> set[str]:
        """Those whose columns were named."""
        return {key.rpartition(".")[2] for key in self.keys if key.startswith(_COLUMNS)}

    @property
    def says_groups(self) -> bool:
        """Whether a pattern was said that has to find the group of each recording."""
        return "dataset.group_pattern" in self.keys

    @property
    def sampling_rate(self) -> float | None:
        """Hz, of recordings that do not say it."""
        return self.config.data_processing_feature_extraction.sampling_rate if _RATE in self.keys else None

    def reading(self, classifier: Classifier, *, is_labelled: bool) -> Reading:
        """How the recordings are read.

        Raises:
            InputError: if it is said that there are no labels, and they are needed.
        """
        if is_labelled:
            check_label_column(self.config)
        return classifier.reading(classifier.prepared.reading, is_labelled=is_labelled)

    def _value(self, key: str) -> Any:
        return getattr(self.config.dataset, key.split(".")[1])


def parse(command: str, words: Sequence[str], endings: Sequence[str]) -> Asked:
    """Take a command's words apart.

    Args:
        command: its name, for messages.
        words: RUN, DATA and settings.
        endings: that the file to be written may have.

    Raises:
        InputError: naming what was found and what is allowed.
    """
    own, settings, places = {}, [], []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in _OWN[command]:
            own[key] = plain(value)
        elif equals and (key in _READING or key == _RATE or key in _MORE or key.startswith(_COLUMNS)):
            settings.append(word)
        elif word.startswith("-") or (equals and _WORD.fullmatch(key) and not Path(word).exists()):
            raise _unknown(command, word)
        else:
            places.append(word)
    if len(places) != 2:
        raise InputError(f"{command}: found {places}; allowed: {_allowed(command)}")
    config = compose_config(settings)
    check_settings(config)
    if (by := own.get("by", "window")) not in BY:
        raise InputError(f"{command}: by={by}; allowed: {' or '.join(BY)}")
    out = _out(command, own.get("out"), Path(places[1]), endings)
    keys = frozenset(setting.partition("=")[0] for setting in settings)
    return Asked(Path(places[0]), places[1], out, own.get("backend", "torch"), by, config, keys)


def _unknown(command: str, word: str) -> InputError:
    known = [*_OWN[command], *sorted(_READING), *_MORE, *(f"{_COLUMNS}{role}" for role in ROLES), _RATE]
    key, equals, _ = word.lstrip("-").partition("=")
    ends = {name.split(".", dots)[-1]: name for dots in range(3) for name in reversed(known)}
    near = get_close_matches(key, ends, n=1, cutoff=0.6)
    nearest = f"; the nearest word is {ends[near[0]]}=" if equals and near else ""
    return InputError(f"{command}: does not know {brief(word)!r}{nearest}; allowed: {_allowed(command)}")


def _allowed(command: str) -> str:
    by = ", by=window or recording" if "by" in _OWN[command] else ""
    return (
        f"RUN DATA, out=FILE{by}, backend=torch, onnx or int8, --config-dir FOLDER, keys of dataset that say how "
        f"recordings are written, and {_RATE}"
    )


def _out(command: str, found: str | None, data: Path, endings: Sequence[str]) -> Path | None:
    if found is None:
        return None
    path = Path(found)
    if path.suffix not in endings:
        raise InputError(f"{command}: out={found} ends in {path.suffix!r}; allowed: {' or '.join(endings)}")
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise InputError(f"{command}: out={found} cannot be written; allowed: a file in a folder that is there")
    if path.exists() and data.exists() and path.samefile(data):
        raise InputError(f"{command}: out={found} are the recordings themselves; allowed: another file")
    return path
