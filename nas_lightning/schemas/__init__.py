"""JSON schemas of the files of a run: generated from their records, and shipped beside this module.

``make schemas`` writes them anew; a test compares them with the records.
"""

import dataclasses
import inspect
import json
from importlib.resources import files
from typing import Annotated, Any, get_type_hints

VERSION = 1
"""Rises where a file loses a key or a key gets another meaning, and not where a key joins."""

NAMES = ("metrics", "cost", "genotype", "input")
"""The files, without ``.json``."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(name: str) -> dict[str, Any]:
    """The schema of ``NAME.json``, as it is shipped.

    >>> schema("metrics")["$id"]
    'urn:nas-lightning:schema:metrics:1'

    Raises:
        FileNotFoundError: for a name that is none of ``NAMES``.
    """
    content: dict[str, Any] = json.loads(files(__name__).joinpath(file_of(name)).read_text(encoding="utf-8"))
    return content


def file_of(name: str) -> str:
    """The file of a schema, beside this module."""
    return f"{name}.schema.json"


def generated(name: str) -> dict[str, Any]:
    """The schema of ``NAME.json``, made of its record.

    Raises:
        KeyError: for a name that is none of ``NAMES``.
    """
    import msgspec  # here and below at need: who reads a shipped schema needs none of it

    content = json.loads(msgspec.json.encode(msgspec.json.schema(_record(name))))  # lists instead of tuples
    for part in content["$defs"].values():
        part["description"] = inspect.cleandoc(part["description"])  # Python 3.13 does that itself
    about = {"$schema": _DIALECT, "$id": f"urn:nas-lightning:schema:{name}:{VERSION}", "version": VERSION}
    return about | {"title": f"{name}.json"} | content


def _record(name: str) -> type:
    from nas_lightning.report.costs import CostReport
    from nas_lightning.report.results import RunMetrics
    from nas_lightning.space.cells.blueprint import GenotypeFile

    return {"metrics": RunMetrics, "cost": CostReport, "genotype": GenotypeFile, "input": _input()}[name]


def _input() -> type:
    """``InputDescription`` as it is written: with the keys of the outputs in the place of ``outputs``."""
    from msgspec import Meta

    from nas_lightning.export.contract import InputDescription

    kinds = get_type_hints(InputDescription, include_extras=True)
    outputs = ("class_names", Annotated[tuple[str, ...], Meta(description="The class of each output, in order.")])
    made: list[Any] = []
    for field in dataclasses.fields(InputDescription):
        if field.name == "outputs":
            made.append(outputs)
        elif field.default is dataclasses.MISSING:
            made.append((field.name, kinds[field.name]))
        else:
            made.append((field.name, kinds[field.name], dataclasses.field(default=field.default)))
    record = dataclasses.make_dataclass("InputDescription", made, frozen=True)
    record.__doc__ = InputDescription.__doc__
    return record
