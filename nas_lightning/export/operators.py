"""What each kind of layer is in an ONNX file, as floats and as integers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Integers:
    """An operator on integers, which come with a scale and a zero point each.

    Attributes:
        operator: of ONNX Runtime.
        floats: what it computes, as an operator on floats.
        values: which of its inputs are values that it reads, with scale and zero point behind them.
        output: which of its inputs is the scale of what it makes, with the zero point behind it.
    """

    operator: str
    floats: str
    values: slice
    output: int


@dataclass(frozen=True)
class Operators:
    """The operators of a kind.

    Attributes:
        floats: in the exported file.
        integers: in the integer form; None for what stays as it is or becomes part of the operator before it.
    """

    floats: tuple[str, ...]
    integers: Integers | None = None


_CONVOLUTION = Integers("QLinearConv", "Conv", slice(0, 1), 6)

OPERATORS = {
    "affine": Operators(("Sub", "Mul", "Add")),  # before the quantization
    "conv": Operators(("Conv",), _CONVOLUTION),
    "pointwise": Operators(("Conv",), _CONVOLUTION),
    "depthwise": Operators(("Conv",), _CONVOLUTION),
    "linear": Operators(("Gemm",), _CONVOLUTION),  # on one time step
    "relu": Operators(("Relu",)),  # the lowest integer before it stands for 0
    "max_pool": Operators(("MaxPool",)),  # the same on integers
    "avg_pool": Operators(("AveragePool",), Integers("QLinearAveragePool", "AveragePool", slice(0, 1), 3)),
    "concat": Operators(("Concat",), Integers("QLinearConcat", "Concat", slice(2, None, 3), 0)),
    "global_avg_pool": Operators(
        ("ReduceMean",), Integers("QLinearGlobalAveragePool", "GlobalAveragePool", slice(0, 1), 3)
    ),
    "add": Operators(("Add",), Integers("QLinearAdd", "Add", slice(0, 6, 3), 6)),
}
"""By kind of layer."""

INTEGERS = {row.integers.operator: row.integers for row in OPERATORS.values() if row.integers}
"""By the operator on integers."""
