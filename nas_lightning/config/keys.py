"""Overrides before Hydra sees them: the guide's YAML layout, unknown keys, and keys that stand for a group."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hydra.core.override_parser.types import ChoiceSweep, QuotedString

from nas_lightning.config.arguments import allowed
from nas_lightning.config.records import Config
from nas_lightning.config.typed import FOLDERS, as_typed, parse, quoted
from nas_lightning.errors import InputError, brief
from nas_lightning.files import read_yaml

_GROUP_KEYS = {
    "training.nas_model_size": "nas_model_size",
    "common.target_device": "target_device",
    "common.task_type": "task_type",
    "data_processing_feature_extraction.feature_extraction_name": "features",
}
"""Keys of the guide that pick an option of a group."""

_OWN_GROUPS = ("nas_model_size", "target_device", "task_type", "features", "experiment")
"""Groups that fill other sections, and have no section of their own."""

_FLAGS_WITH_VALUES = (
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--package", "-p"),
    *("--cfg", "-c", "--info", "-i", "--experimental-rerun"),
)
_SWEEP_FLAGS = ("-m", "--multirun", "hydra.mode=MULTIRUN")

_ELSEWHERE = {
    "data_proc_transforms": "frame_size cuts windows, new_sr brings to another rate",
    "gain_variations": "augmentation draws changes of the training samples",
    "augmenters": "the section augmentation holds them",
    "offset": "frames begin stride_size apart",
    "annotation_prefix": "every *train*_list.txt, *val*_list.txt and *test*_list.txt is found",
    "data_dir": "dataset.input_data_path is the folder that holds classes",
    "lr_scheduler": "the group scheduler holds it",
    "optimizer": "the group optimizer holds it",
    "model_name": "the group model holds hand-made networks, for training.nas_enabled=false",
    "quantization": "cost.weight_bits and cost.activation_bits say how numbers are kept",
}
"""Last parts of keys of the guide's family, and what does their work here."""


def known_keys(record: type = Config, prefix: str = "") -> list[str]:
    """The dotted keys of the typed sections, in order."""
    keys: list[str] = []
    hints = get_type_hints(record)
    for field in fields(record):
        if is_dataclass(hints[field.name]):
            keys += known_keys(hints[field.name], f"{prefix}{field.name}.")
        else:
            keys.append(prefix + field.name)
    return keys


def key_types(record: type = Config, prefix: str = "") -> dict[str, Any]:
    """The types of the typed keys, and of the sections that hold them."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(record).items():
        found[prefix + name] = hint
        if is_dataclass(hint):
            found |= key_types(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
    return found


def check_key(key: str, source: str) -> None:
    """Refuse an unknown key of a typed section, or an unknown section.

    Raises:
        InputError: naming the source, the key and the nearest known one.
    """
    allowed = [*known_keys(), *_GROUP_KEYS]
    section = key.split(".")[0]
    open_sections = {name for name in known_keys() if "." not in name}
    if key in allowed or (section in open_sections and "." in key):
        return
    if hint := _ELSEWHERE.get(key.rpartition(".")[2]):
        raise InputError(f"{source}: unknown key {key!r}; here, {hint}")
    raise InputError(f"{source}: unknown key {key!r}; the nearest known key is {_nearest(key, allowed)!r}")


def _nearest(key: str, allowed: list[str]) -> str:
    """The key that was meant: one with the same last part, one that begins so, or the most similar.

    A group and the last part of a key count like the whole key.
    """
    last_parts = {known.rpartition(".")[2]: known for known in reversed(allowed)}
    names = last_parts | {known: known for known in (*_OWN_GROUPS, *allowed)}
    if (last := key.rpartition(".")[2]) in last_parts:
        return names.get(last, last_parts[last])
    if begun := [known for known in allowed if known.startswith(key)]:
        return min(begun, key=len)
    return names[difflib.get_close_matches(key, names, n=1, cutoff=0.0)[0]]


def check_keys(overrides: Iterable[str], source: str) -> None:
    """Refuse an unknown key among overrides; what Hydra alone understands is left to it.

    Raises:
        InputError: naming the source, the key and the nearest known one.
    """
    for override in overrides:
        name = override.partition("=")[0].lstrip("+~")
        if not (name.startswith("hydra") or "@" in name or "/" in name or name in _OWN_GROUPS):
            check_key(name, source)


def guide_overrides(path: Path) -> dict[str, str]:
    """A YAML in the guide's layout as overrides: Hydra key to value in Hydra's grammar.

    Raises:
        InputError: if there is no such file, it is not YAML with sections, or a key is unknown.
    """
    overrides = {}
    for key, value in flatten(read_yaml(path)):
        check_key(key, str(path))
        overrides[_GROUP_KEYS.get(key, key)] = _to_grammar(value)
    return overrides


def check_run_name(name: str) -> None:
    """Refuse a name that leads out of the folder of all runs; ``hydra.run.dir`` can be anywhere.

    Raises:
        InputError: naming the key.
    """
    parts = re.split(r"[/\\,]", name.strip("'\""))
    if ".." in parts or (parts[0] == "" and len(parts) > 1) or re.match("[A-Za-z]:", name.strip("'\"")):
        raise InputError(
            f"common.run_name: found {name}; allowed: a name below outputs; hydra.run.dir=FOLDER puts a run elsewhere"
        )


def to_overrides(settings: dict[str, Any]) -> list[str]:
    """Keys and Python values as arguments for Hydra."""
    return [f"{key}={_to_grammar(value)}" for key, value in settings.items()]


def merge_overrides(defaults: dict[str, str], arguments: list[str], sweeps: bool | None = None) -> list[str]:
    """The arguments of the command line with ``defaults`` put before them; an argument replaces the default of its key.

    Args:
        defaults: values in Hydra's grammar, by key.
        arguments: as they were typed; see ``typed.as_typed``.
        sweeps: whether they are those of a sweep; None if they say so themselves.

    Raises:
        InputError: for an argument with an unknown key, or one that is none.
    """
    sweeps = any(flag in arguments for flag in _SWEEP_FLAGS) if sweeps is None else sweeps
    types, flags, before = key_types(), [], ""
    merged, others = dict(defaults), []
    for argument in arguments:
        key, separator, value = argument.partition("=")
        name = key.lstrip("+~")
        if argument.startswith("-") or not (separator or argument.startswith("~")):
            _check_word(argument, before)
            flags.append(argument)  # with the words that follow them: Hydra wants all of them before the overrides
        elif name.startswith("hydra") or "@" in name or "/" in name:
            others.append(f"{key}={as_typed(name, value, None, False)}" if name in FOLDERS else argument)
        else:
            if name not in _OWN_GROUPS:
                check_key(name, "command line")
            value = as_typed(name, value, types.get(name), sweeps) if name not in _GROUP_KEYS else value
            if key == name:
                merged[_GROUP_KEYS.get(key, key)] = value
            else:
                others.append(f"{key}{separator}{value}")
        before = argument
    check_run_name(merged.get("common.run_name", ""))  # here, because Hydra makes the folder before it says anything
    # What an open section may hold is not in its defaults, so that Hydra has to be told to add it.
    merged_arguments = [f"{'++' * key.startswith('augmentation.')}{key}={value}" for key, value in merged.items()]
    check_values([*merged_arguments, *others])
    if not sweeps:
        _refuse_sweeps([*merged_arguments, *others])
    return flags + merged_arguments + others


def _check_word(word: str, before: str) -> None:
    """Refuse a word that is no argument: most often the shell has divided a value at a space."""
    if word.startswith("-") or before in _FLAGS_WITH_VALUES:
        return
    remedy = f"; a value with a space is given in quotes: '{before} {word}'" if "=" in before else ""
    raise InputError(f"{brief(word)!r}: is neither an option nor key=value{remedy}")


def _refuse_sweeps(overrides: list[str]) -> None:
    for override in overrides:
        key, _, text = override.partition("=")
        if (found := parse(override)) is not None and found.is_sweep_override():
            raise InputError(
                f"{key.lstrip('+')}: found {brief(text)}, which is several values; -m before them makes a run of each"
            )


def check_values(overrides: list[str]) -> None:
    """Refuse what Hydra would end in a traceback over, or take for something else.

    A group picks one option by its name, and a key that is true or false is not a number.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    types = key_types()
    for override in overrides:
        key, separator, text = override.partition("=")
        key = key.lstrip("+~")
        parsed = parse(override)
        if parsed is None:
            raise (
                _unreadable(key, text, types.get(key))
                if separator
                else InputError(f"{brief(override)!r}: is neither an option nor key=value")
            )
        if not separator:
            continue
        found = parsed.value()
        if parsed.is_delete() or (parsed.is_sweep_override() and not isinstance(found, ChoiceSweep)):
            continue
        for value in found.list if isinstance(found, ChoiceSweep) else [found]:
            _check_value(key, value, types.get(key), text)


def _unreadable(key: str, text: str, hint: Any) -> InputError:
    """What is said of a value that is not of Hydra's grammar."""
    if hint is not None and not is_dataclass(hint) and not _takes_text(hint):
        return InputError(f"{key}: found {brief(text)}; allowed: {allowed(key, hint)}")
    example = "..." if "'" in text or '"' in text or len(text) != len(brief(text)) else text
    return InputError(
        f"{key}: found {brief(text)}, which has a sign with a meaning for Hydra; allowed: text in quotes, as in "
        f"'{key}=\"{example}\"'"
    )


def _takes_text(hint: Any) -> bool:
    return bool({str, Any} & {hint, *get_args(hint)}) or hint == dict[str, Any]


def text_of(value: Any) -> str:
    """The text of a value of Hydra's grammar."""
    return str(value.text if isinstance(value, QuotedString) else value)


def _check_value(key: str, value: Any, hint: Any, text: str) -> None:
    is_group = key in _OWN_GROUPS or hint == dict[str, Any]
    if is_group and not (isinstance(value, str | QuotedString) or (key == "experiment" and value is None)):
        raise InputError(f"{key}: found {text}; allowed: the name of an option, see nas-lightning --help")
    if is_group and not re.fullmatch(r"\w[\w.+-]*", text_of(value)):  # Hydra would take it for the path of a file
        raise InputError(f"{key}: found {text}; allowed: the name of an option, without a path")
    if hint is bool and isinstance(value, int | float) and not isinstance(value, bool):
        raise InputError(f"{key}: found {text}; allowed: true or false")


def flatten(content: dict[Any, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested sections with their dotted keys; an empty section is a leaf."""
    items: list[tuple[str, Any]] = []
    for name, value in content.items():
        key = f"{prefix}{name}"
        items += flatten(value, f"{key}.") if isinstance(value, dict) and value else [(key, value)]
    return items


def _to_grammar(value: Any) -> str:
    """A YAML value in Hydra's override grammar; strings are quoted, so that nothing in them has a meaning."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(_to_grammar(item) for item in value) + "]"
    if isinstance(value, int | float):
        return str(value)
    return quoted(escaped(str(value)))


def escaped(content: Any) -> Any:
    r"""Plain values for OmegaConf, so that it takes ``${`` for these two characters, wherever it stands.

    A value may come from a stranger's file, and an interpolation could fetch an environment variable.

    >>> print(escaped({"note": "${oc.env:HOME}"})["note"])
    \${oc.env:HOME}
    """
    if isinstance(content, dict):
        return {key: escaped(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [escaped(value) for value in content]
    if not isinstance(content, str):
        return content
    return re.sub(r"(\\*)\$\{", lambda m: m[1] * 2 + "\\${", content)
