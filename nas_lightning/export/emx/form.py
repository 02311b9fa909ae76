"""The form of what emx-onnx-cgen writes: how it is taken apart, and refused where it is another."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto

BYTES = {"float": 4, "int8_t": 1}
_DIMS = r"(?P<dims>(?:\[\d+\])+)"
TABLE = re.compile(r"^const EMX_UNUSED \w+ (?P<name>\w+)(?:\[\d+\])+ = \{.*?^\};$", re.M | re.S)
FUNCTION = re.compile(
    r"^/\*\n \* Node \d+:\n \* OpType: (?P<op>\w+)\n.*?^EMX_NODE_FN void (?P<name>\w+)\(.*?^\}$", re.M | re.S
)
VALUE = re.compile(rf"^    (?P<type>\w+) (?P<name>tmp\w+){_DIMS};$", re.M)
CALL = re.compile(r"^    (?P<function>node\w+)\((?P<arguments>.*)\);$", re.M)
PARAMETER = re.compile(rf"(?P<type>\w+) (?P<name>\w+){_DIMS}")


class FormError(RuntimeError):
    """The output of emx-onnx-cgen has another form than the one that is known."""


@dataclass(frozen=True)
class Array:
    """A value or parameter: the type of its elements, and its sizes in brackets."""

    type: str
    dims: str

    @property
    def size(self) -> int:
        """Its number of elements."""
        return math.prod(int(dim) for dim in re.findall(r"\d+", self.dims))


@dataclass(frozen=True)
class Step:
    """One call; its last argument is what it makes."""

    function: str
    arguments: list[str]


def split_output(text: str) -> tuple[str, str, str]:
    """What is before the entry function, its parameters, and its body."""
    found = re.search(r"^void network\((.*)\) \{$", text, re.M)
    if found is None:
        raise FormError("emx-onnx-cgen: no function network in its output")
    return text[: found.start()], found[1], text[found.end() :]


def check_form(
    model: ModelProto,
    functions: dict[str, re.Match[str]],
    values: dict[str, Array],
    steps: Sequence[Step],
    source: Array,
    body: str,
) -> None:
    """Refuse output that was not read to its end."""
    lines = [line for line in body.splitlines() if line not in ("", "}")]
    if len(lines) != len(values) + len(steps) or not len(steps) == len(functions) == len(model.graph.node):
        raise FormError(
            f"emx-onnx-cgen: {len(lines)} lines hold {len(values)} values and {len(steps)} calls of {len(functions)} "
            f"functions for {len(model.graph.node)} operators"
        )
    types = {value.type for value in values.values()}
    if types - {source.type} or source.type not in BYTES:
        raise FormError(f"emx-onnx-cgen: an input of {source.type} and values of {', '.join(sorted(types))}")
