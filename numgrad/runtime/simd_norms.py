"""Sums of squares, and whether those of a watched `simd_transforms.transform_tile` are of one size."""

from __future__ import annotations

import functools

from numgrad.runtime.kernel import Intrinsic, intrinsic
from numgrad.runtime.simd_emit import Tile


def even_tile(code: str, lane_by_lane: bool) -> Intrinsic:
    """``tile(sums, least, most)``: whether the squares that a watched `simd_transforms.transform_tile` has summed are of one size.

    True if the sum over all is at most ``least`` times the smallest of the four others, and in no lane more than ``most``;
    never true if a sum is not finite. ``lane_by_lane`` takes the smallest in each lane: a stricter test, but a faster one.
    """

    @intrinsic
    def tile(typing_context, sums, least, most):
        from numba import types

        real = types.float32 if code == "f4" else types.float64

        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, 1, 1)
            sums, least, most = args
            total, *few = [t.read_vector(t.pointer(sums), i) for i in range(5)]

            def smaller(x, y):
                return builder.select(builder.fcmp_ordered("<", x, y), x, y)

            if lane_by_lane:
                scaled = builder.fmul(functools.reduce(smaller, few), t.in_all_lanes(least))
                beyond = t.sum_of_lanes(builder.fsub(total, scaled))
            else:
                smallest = functools.reduce(smaller, [t.sum_of_lanes(each) for each in few])
                beyond = builder.fsub(t.sum_of_lanes(total), builder.fmul(smallest, least))
            fits = builder.bitcast(builder.fcmp_ordered("<=", total, t.in_all_lanes(most)), t.ir.IntType(t.lanes))
            all_fit = builder.icmp_signed("==", fits, t.ir.Constant(fits.type, -1))
            return builder.and_(all_fit, builder.fcmp_ordered("<=", beyond, t.ir.Constant(t.element, 0.0)))

        return types.boolean(types.int64, real, real), emit

    return tile


def norm_tile(code: str) -> Intrinsic:
    """``tile(address, vectors)``: the sum of the squares of so many whole vectors."""

    @intrinsic
    def tile(typing_context, address, vectors):
        from numba import types

        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, 1, 1)
            address, vectors = args

            def step(k, totals):
                value = t.read_vector(t.advance(t.pointer(address), builder.mul(k, t.word(t.lanes * t.itemsize))))
                return [t.multiply_add(value, value, totals[0])]

            return t.sum_of_lanes(t.loop(vectors, t.zeros(1), step)[0])

        return (types.float32 if code == "f4" else types.float64)(types.int64, types.int64), emit

    return tile
