"""Vectors of sixteen float32 values in compiled functions, with +, -, *, min and max.

LLVM splits them where the processor has shorter ones. They stay in registers between `read` and
`write`, which take addresses; what is a number in an expression holds for all sixteen values.
"""

import operator

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16
_FLOAT, _INDEX = ir.FloatType(), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FAST = ("fast",)


class Lanes(types.Type):
    """The type of such a vector."""

    def __init__(self):
        super().__init__("Lanes")


_lanes = Lanes()


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _VECTOR)


@numba.njit(inline="always")
def address(array):
    """Return where an array begins."""
    return np.intp(array.ctypes.data)


@intrinsic
def read(typingctx, address):
    """Read the vector at an address."""

    def build(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _VECTOR.as_pointer()), align=4)

    return _lanes(types.intp), build


@intrinsic
def write(typingctx, address, vector):
    """Write a vector to an address."""

    def build(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, _lanes), build


def _spread(builder, value):
    """Return a vector of one value; what is a vector stays as it is."""
    if value.type == _VECTOR:
        return value
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, _INDEX(0))
    zeros = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, zeros)


@intrinsic
def where_below(typingctx, value, limit, then, otherwise):
    """Take each value from `then` where `value` is below the number `limit`, else `otherwise`."""

    def build(context, builder, signature, args):
        value, limit, then, otherwise = args
        below = builder.fcmp_ordered("<", value, _spread(builder, limit))
        return builder.select(below, then, otherwise)

    return _lanes(_lanes, types.float32, _lanes, _lanes), build


def _define(function, emit):
    """Let `function` take vectors, or a vector and a float32; `emit` writes the instruction."""

    @type_callable(function)
    def of_lanes(context):
        def result(a, b):
            if _lanes in (a, b) and {a, b} <= {_lanes, types.float32}:
                return _lanes
            return None

        return result

    for kinds in ((_lanes, _lanes), (_lanes, types.float32), (types.float32, _lanes)):

        @lower_builtin(function, *kinds)
        def write_instruction(context, builder, signature, args):
            return emit(builder, *(_spread(builder, value) for value in args))


def _choose(order):
    return lambda builder, a, b: builder.select(
        builder.fcmp_ordered(order, a, b, flags=_FAST), a, b
    )


_define(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=_FAST))
_define(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=_FAST))
_define(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=_FAST))
_define(min, _choose("<"))
_define(max, _choose(">"))
