"""What the C of decisions takes on a core: bytes, as ``benchmarks/decision_costs.py`` measured them, and memory."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from nas_lightning.tasks.decisions import Decision

_WORD = 4  # bytes of an int and of a float


@dataclass(frozen=True, kw_only=True)
class DecisionCost:
    """What ``decision.c`` takes: code with the library functions that it calls, and the memory of one stream."""

    flash_bytes: int
    ram_bytes: int


@cache
def _content() -> dict[str, Any]:
    return json.loads((files("nas_lightning.cost") / "decisions.json").read_text(encoding="utf-8"))


def decision_cost(decision: Decision, outputs: int, core: str) -> DecisionCost | None:
    """The cost of a decision; None where the largest logit decides, which has no code of its own.

    Args:
        decision: what is decided.
        outputs: K.
        core: a core of ``decisions.json``.

    Raises:
        KeyError: if nothing was measured on it.
    """
    if not decision.has_code:
        return None
    smoothing = decision.smoothing
    method = "none" if smoothing is None else smoothing.method
    kind = method if decision.threshold is None else f"{method} with threshold"
    windows = 0 if smoothing is None else smoothing.windows
    words = {"none": 0, "majority": 1 + windows, "mean": 2 + windows * outputs, "hysteresis": 4}[method]
    return DecisionCost(flash_bytes=_content()[core][kind], ram_bytes=_WORD * words)
