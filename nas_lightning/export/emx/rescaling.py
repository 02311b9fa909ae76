"""Rescaling of int8 in fixed point: the C functions for it, and the numbers that they take."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from nas_lightning.export.emx.form import FormError

RESCALING = """
/* To rescale int8, values and their zero points are put in fixed point: a half and a margin are added, so that the
 * integer below is the value rounded. It is what float arithmetic gives, unless what is behind the point is within the
 * margin of an integer: none of decided_bits is set. Then it is computed in float, as ONNX Runtime does. */

static inline EMX_UNUSED int8_t clamped(int32_t value)
{
    return (int8_t)(value < INT8_MIN ? INT8_MIN : value > INT8_MAX ? INT8_MAX : value);
}

/* Half to even, because x + 3 * 2^22 has no bits behind the point; the last of its bits are those of the whole number.
 * They are read as an integer, because a compiler may think that a subtraction undoes the addition. */
static inline EMX_UNUSED int32_t whole(float value)
{
    int32_t bits;
    value += 12582912.0f;
    memcpy(&bits, &value, sizeof bits);
    return bits - 0x4B400000;
}

/* Beyond all of int8 it need not be exact. */
EMX_NODE_FN EMX_UNUSED int8_t rounded(float value, int32_t zero)
{
    value = value < 512.0f ? value : 512.0f;
    value = value > -512.0f ? value : -512.0f;
    return clamped(whole(value) + zero);
}

EMX_NODE_FN EMX_UNUSED int8_t requantized_in_float(int32_t acc, int32_t multiplier, int32_t shift, int32_t zero)
{
    const uint32_t bits = (uint32_t)(127 - 32 - shift) << 23;
    float unit; /* 2^-(32 + shift) */
    memcpy(&unit, &bits, sizeof unit);
    return rounded((float)acc * ((float)multiplier * unit), zero);
}

EMX_NODE_FN EMX_UNUSED int8_t mean_in_float(
    const int8_t *values, idx_t count, float scale, int32_t zero, float to_scale, int32_t to_zero)
{
    volatile float sum = 0.0f; /* added up in this order */
    for (idx_t i = 0; i < count; ++i) {
        sum = sum + (float)((int32_t)values[i] - zero) * scale;
    }
    return rounded(sum / (float)count / to_scale + (float)to_zero, 0);
}

/* 2^-12, more than what floats and fixed point may be off by, or else the last bit. */
static inline EMX_UNUSED int32_t margin_of(int32_t shift)
{
    return shift > 12 ? shift - 12 : 0;
}

/* Of the bits behind the point those that are not of the margin on either side, which is 1 << margin. */
static inline EMX_UNUSED int32_t decided_bits(int32_t shift, int32_t margin)
{
    return shift > margin + 1 ? (1 << shift) - (2 << margin) : 0;
}

/* The zero point, a half and the margin. */
static inline EMX_UNUSED int32_t offset_of(int32_t zero, int32_t shift, int32_t decided)
{
    return shift < 0 ? 0 : (zero + 1) * (1 << shift) - decided / 2;
}

static inline EMX_UNUSED int8_t requantized(
    int32_t acc, int32_t multiplier, int32_t shift, int32_t zero, int32_t decided, int32_t offset)
{
    const int32_t fixed = (int32_t)(((int64_t)acc * multiplier) >> 32) + offset;
    return fixed & decided ? clamped(fixed >> shift) : requantized_in_float(acc, multiplier, shift, zero);
}
"""
"""The C functions that rescale int8."""

_LEAST_MARGIN = 11  # of a mean, a bit behind the point
Rows = NDArray[np.int8] | NDArray[np.int32]
Inputs = list[Any]  # arrays, and None for what is no constant


def fixed_point(scale: float) -> tuple[int, int]:
    """What ``requantized`` multiplies an int32 by for its product with a scale: a multiplier and a shift.

    The scale is ``multiplier * 2^-(32 + shift)``, exactly; below 2^-32, where all products round to 0, it is 0.

    Args:
        scale: a positive float32.

    Returns:
        A multiplier below 2^31, and a shift of at most 23, so that a value and its zero point have room in 32 bits.
    """
    fraction, exponent = math.frexp(scale)
    multiplier, shift = int(fraction * 2**31), -1 - exponent
    dropped = max(0, shift - 23)
    return multiplier >> dropped if dropped <= 7 else 0, shift - dropped  # a float has 24 bits, so 7 of the 31 are 0


def bits_behind_the_point(ratio: Fraction) -> int:
    """How many there can be if differences of int8 times a ratio, with a zero point, are to have room in 32 bits.

    A result within int8 is then off by less than ``margin_of`` allows: by half of the last bit of the ratio, times at
    most 255 and 256 over the ratio, and in floats by two roundings, each of 2^-24 of it.

    Args:
        ratio: of two scales, a positive number.
    """
    most = math.ceil(255 * ratio + 130)  # 128, a half, and what rounding the ratio adds
    return min(22, (2**31 // most).bit_length() - 1)


def convolution_numbers(node: NodeProto, inputs: Inputs) -> dict[str, Rows | int]:
    """The scale of each channel: multipliers and shifts, and what sums are multiplied by before."""
    _, x_scale, _, weights, scales, zero_points, scale, _, *biases = inputs
    if zero_points.any():
        raise FormError(f"{node.name}: its weights have a zero point")
    sums = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(1) * 255
    most = sums + sum(np.abs(bias.astype(np.int64)) for bias in biases)
    return _scales(x_scale * scales / scale, int(most.max()))


def mean_numbers(node: NodeProto, inputs: Inputs) -> dict[str, Rows | int]:
    """Bits behind the point, the margin above their 5 bits, and the multipliers of the sums of one value and more."""
    most, ratio = math.prod(helper.get_node_attr_value(node, "kernel_shape")), _ratio(inputs[1], inputs[3])
    shift = bits_behind_the_point(ratio)
    in_float = (most + 3) * 255 * ratio / 2**24 + Fraction(1, 2**15)  # its error, of results within int8
    error = 128 * most + math.ceil(in_float * Fraction(2) ** shift)
    margin = max(_LEAST_MARGIN, (error - 1).bit_length())
    if shift <= margin + 1:
        return {"rescaling": np.zeros(1 + most, np.int32)}  # no bit decides
    multipliers = (round(ratio * 2**shift / n) for n in range(1, most + 1))
    return {"rescaling": np.array([margin << 5 | shift, *multipliers], np.int32)}


def concatenation_numbers(node: NodeProto, inputs: Inputs) -> dict[str, Rows | int]:
    """For each input the multiplier, and above its 24 bits how many are behind the point."""
    numbers = []
    for ratio in (_ratio(scale, inputs[0]) for scale in inputs[3::3]):
        shift = bits_behind_the_point(ratio)
        numbers.append(shift << 24 | round(ratio * 2**shift) if shift > 0 else 0)
    return {"rescaling": np.array(numbers, np.int32)}


def _scales(values: NDArray[np.float32], most: int) -> dict[str, Rows | int]:
    """Numbers for the products of scales with integers of at most some size, which are first made as large as can be.

    A product in fixed point then has more bits behind the point, and is seldom too near to a half.
    """
    room = max(0, min(16, 31 - most.bit_length()))
    multipliers, shifts = zip(*(fixed_point(float(value) / 2**room) for value in np.ravel(values)), strict=True)
    return {"multipliers": np.array(multipliers, np.int32), "shifts": np.array(shifts, np.int8), "": 2**room}


def _ratio(scale: NDArray[np.float32], to_scale: NDArray[np.float32]) -> Fraction:
    return Fraction(scale.item()) / Fraction(to_scale.item())
