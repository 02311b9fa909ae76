"""The tables of all keys on ``docs/reference/keys.md``, written when the site is built.

Defaults and comments are those of ``conf``, and what is allowed is what the records and ranges say.
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING as UNSET
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from mkdocs.structure.pages import Page

from nas_lightning.config.arguments import allowed, shown
from nas_lightning.config.keys import key_types
from nas_lightning.config.ranges import ANY, range_of
from nas_lightning.config.records import Config

CONF = Path(__file__).resolve().parents[1] / "conf"
PAGE = "docs/reference/keys.md"
MARK = "<!-- The tables of all keys: docs/key_reference.py -->"

LEFT_OUT = ("common.config_dirs", "_recursive_", "_partial_")
"""Keys, and last parts of keys, that nobody sets: ``--config-dir`` sets one, the others go with a ``_target_``."""


@dataclass(frozen=True)
class Key:
    """A key as the configuration files have it."""

    name: str
    default: str
    comment: str


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Put the tables in the place of the mark."""
    return markdown.replace(MARK, tables()) if page.file.src_uri == PAGE else markdown


def tables() -> str:
    """One table for each section, by name; the keys without a section come first."""
    sections: dict[str, list[Key]] = {}
    for key in all_keys():
        sections.setdefault(_section(key), []).append(key)
    return "\n\n".join(_table(section, sections[section]) for section in sorted(sections))


def all_keys() -> list[Key]:
    """The keys of ``conf/config.yaml`` and of the options that it picks, then those that only a record has."""
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    found = {key.name: key for key in keys_of(text) if key.name.partition(".")[0] not in ("defaults", "hydra")}
    for group, option in _picked(yaml.safe_load(text)["defaults"]):
        content = (CONF / group / f"{option}.yaml").read_text(encoding="utf-8")
        package = re.match(r"# @package (\S+)", content)
        prefix = f"{package[1] if package else group}.".removeprefix("_global_.")
        found = {key.name: key for key in keys_of(content, prefix)} | found
    found |= {key.name: key for key in _of_records() if key.name not in found}
    return [key for name, key in found.items() if not {name, name.rpartition(".")[2]} & {*LEFT_OUT}]


def _section(key: Key) -> str:
    return key.name.partition(".")[0] if "." in key.name else ""


def _picked(defaults: list[Any]) -> Iterator[tuple[str, str]]:
    """The options that fill sections; ``data`` repeats keys of other sections."""
    for entry in defaults:
        for group, option in entry.items() if isinstance(entry, dict) else ():
            if option is not None and group != "data" and not group.startswith("override"):
                yield group, option


def keys_of(text: str, prefix: str = "") -> list[Key]:
    """The leaves of a YAML text, each with the comment on its line."""
    node = yaml.compose(text)
    return list(_leaves(node, prefix, text.splitlines())) if isinstance(node, yaml.MappingNode) else []


def _leaves(node: yaml.MappingNode, prefix: str, lines: list[str]) -> Iterator[Key]:
    for name, value in node.value:
        key = prefix + name.value
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _leaves(value, f"{key}.", lines)
            continue
        is_block = isinstance(value, yaml.SequenceNode) and not value.flow_style
        at = name.end_mark if is_block else value.end_mark
        comment = re.match(r"[:\s]*#\s*(.*)", lines[at.line][at.column :])
        yield Key(key, _source(value, lines), comment[1] if comment else "")


def _source(value: yaml.Node, lines: list[str]) -> str:
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        return "[" + ", ".join(str(item.value) for item in value.value) + "]"
    return lines[value.start_mark.line][value.start_mark.column : value.end_mark.column] or "null"


def _of_records(record: type = Config, prefix: str = "") -> Iterator[Key]:
    """The keys of the records that no file sets, with the defaults that they have there."""
    hints = get_type_hints(record)
    for field in fields(record):
        if is_dataclass(hints[field.name]):
            yield from _of_records(hints[field.name], f"{prefix}{field.name}.")
        elif field.default is not UNSET:
            yield Key(prefix + field.name, shown(field.default) or '""', "")


def _table(section: str, keys: list[Key]) -> str:
    made = [f"`{key.name}`: `{key.default}`" for key in keys if key.name.endswith("_target_")]
    rows = [
        f"| `{key.name}` | `{_cell(key.default)}` | {_cell(_allowed(key.name))} | {_cell(key.comment)} |"
        for key in keys
        if not key.name.endswith("_target_")
    ]
    about = f"Made by {', '.join(made)}.\n\n" if made else ""
    title = f"## {section or 'At the root'}\n\n"
    head = "| key | default | allowed | what it is |\n|---|---|---|---|\n"
    return title + about + (head + "\n".join(rows) if rows else "")


def _allowed(name: str) -> str:
    hint = key_types().get(name)
    if hint is not None and hint != dict[str, Any]:
        return "" if hint is Any else allowed(name, hint)
    return "" if range_of(name) == ANY else str(range_of(name))


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
