"""What makes C of a network, by name; each is imported at need."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_lightning.export.emx import CNetwork

Backend = Callable[[Any], "CNetwork"]
"""An integer core or a float network in, as an ONNX model; its C text out."""


def _emx(model: Any) -> "CNetwork":
    from nas_lightning.export.emx import compile_network

    return compile_network(model)


BACKENDS: dict[str, Backend] = {"emx": _emx}
