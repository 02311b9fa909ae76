"""What each kind of layer is in an ONNX file, as floats and as integers."""

from dataclasses import dataclass

from nas_lightning.graph.layers import CONVOLUTIONS, PRODUCTS

FLOATS = {
    **dict.fromkeys(CONVOLUTIONS, ("Conv",)),
    "affine": ("Sub", "Mul", "Add"),
    "linear": ("Gemm",),
    "relu": ("Relu",),
    **dict.fromkeys(("max_pool", "segment_max"), ("MaxPool",)),
    **dict.fromkeys(("avg_pool", "segment_mean"), ("AveragePool",)),
    "concat": ("Concat",),
    "global_avg_pool": ("ReduceMean",),
    "add": ("Add",),
    "flatten": ("Flatten",),
}
"""By kind its operators in the exported file."""


@dataclass(frozen=True)
class Integers:
    """An operator of ONNX Runtime on integers, which come with a scale and a zero point each.

    Attributes:
        operator: its name.
        floats: what it computes, as an operator on floats.
        values: which of its inputs are values that it reads, with scale and zero point behind them.
        output: which of its inputs is the scale of what it makes, with the zero point behind it.
    """

    operator: str
    floats: str
    values: slice
    output: int


INTEGERS: dict[str, Integers | None] = {
    **dict.fromkeys(PRODUCTS, Integers("QLinearConv", "Conv", slice(0, 1), 6)),  # linear: on one time step
    **dict.fromkeys(("affine", "relu", "max_pool", "segment_max", "flatten"), None),
    **dict.fromkeys(("avg_pool", "segment_mean"), Integers("QLinearAveragePool", "AveragePool", slice(0, 1), 3)),
    "concat": Integers("QLinearConcat", "Concat", slice(2, None, 3), 0),
    "global_avg_pool": Integers("QLinearGlobalAveragePool", "GlobalAveragePool", slice(0, 1), 3),
    "add": Integers("QLinearAdd", "Add", slice(0, 6, 3), 6),
}
"""By kind its operator in the integer form; None for what stays as it is, or becomes part of the operator before it."""

BY_OPERATOR = {row.operator: row for row in INTEGERS.values() if row}
