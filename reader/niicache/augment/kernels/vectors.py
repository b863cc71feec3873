"""Interpolation of the channels of one voxel at once, as a vector. The only builder of LLVM's."""

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from niicache.augment.kernels.compiling import RGB

_MAY_CONTRACT = ("contract",)


def _vector(context: Any, item: Any, width: int) -> Any:
    return ir.VectorType(context.get_value_type(item), width)


def _load(context: Any, builder: Any, address: Any, kinds: Any, width: int) -> Any:
    """Load values next to each other, aligned or not."""
    stored = _vector(context, kinds[0], width)
    return builder.load(builder.inttoptr(address, ir.PointerType(stored)), align=1, typ=stored)


def _load_pair(context: Any, builder: Any, address: Any, after: Any, kinds: Any) -> Any:
    """Load the three values of a voxel and of the next one, as two times four.

    The fourth of each is the other's, so nothing beyond the pair is touched.
    """
    size = context.get_abi_sizeof(context.get_value_type(kinds[0]))
    back = builder.sub(after, ir.Constant(after.type, size))
    near, far = (_load(context, builder, at, kinds, RGB + 1) for at in (address, back))
    return builder.shuffle_vector(near, far, _order(list(range(2 * (RGB + 1)))))


def _to_real(context: Any, builder: Any, found: Any, kinds: Any) -> Any:
    item, real = kinds
    wanted = _vector(context, real, found.type.count)
    if isinstance(item, types.Integer):
        return (builder.sitofp if item.signed else builder.uitofp)(found, wanted)
    return found if item == real else builder.fpext(found, wanted)


def _order(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)


def _spread(context: Any, builder: Any, number: Any, real: Any, width: int) -> Any:
    """Repeat a number in every lane."""
    empty = ir.Constant(_vector(context, real, width), ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, _order([0] * width))


def _gather(context: Any, builder: Any, numbers: Any, real: Any, lanes: int) -> Any:
    """Put the numbers of a tuple into lanes, the last one into those that are left."""
    vector = ir.Constant(_vector(context, real, lanes), ir.Undefined)
    for lane in range(lanes):
        number = builder.extract_value(numbers, min(lane, numbers.type.count - 1))
        vector = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), lane))
    return vector


def _between(builder: Any, near: Any, far: Any, weight: Any) -> Any:
    apart = builder.fsub(far, near, flags=_MAY_CONTRACT)
    part = builder.fmul(weight, apart, flags=_MAY_CONTRACT)
    return builder.fadd(near, part, flags=_MAY_CONTRACT)


def _corners(
    context: Any, builder: Any, address: Any, steps: Any, weights: Any, kinds: Any, leaf: Any
) -> Any:
    """Interpolate along as many axes as there are steps, the first step's last."""
    if not steps:
        return leaf(address)
    near, far = (
        _corners(context, builder, at, steps[1:], weights[1:], kinds, leaf)
        for at in (address, builder.add(address, steps[0]))
    )
    weight = _spread(context, builder, weights[0], kinds[1], near.type.count)
    return _between(builder, near, far, weight)


def _blend_values(
    context: Any, builder: Any, address: Any, steps: Any, weights: Any, kinds: Any, width: int
) -> Any:
    def leaf(at: Any) -> Any:
        return _to_real(context, builder, _load(context, builder, at, kinds, width), kinds)

    return _corners(context, builder, address, steps, weights, kinds, leaf)


def _blend_threes(
    context: Any, builder: Any, address: Any, steps: Any, weights: Any, kinds: Any
) -> Any:
    """Interpolate voxels and their neighbours along the last axis as one vector; that axis last."""

    def leaf(at: Any) -> Any:
        after = builder.add(at, steps[-1])
        return _to_real(context, builder, _load_pair(context, builder, at, after, kinds), kinds)

    both = _corners(context, builder, address, steps[:-1], weights[:-1], kinds, leaf)
    lanes = [0, 1, 2, 2], [5, 6, 7, 7]
    near, far = (builder.shuffle_vector(both, both, _order(picked)) for picked in lanes)
    weight = _spread(context, builder, weights[-1], kinds[1], near.type.count)
    return _between(builder, near, far, weight)


def _blender(width: int) -> Any:
    """Return the interpolation of so many channels, along as many axes as it is given steps."""

    @intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
    def blend(
        _context: Any,
        out: Any,
        address: Any,
        steps: Any,
        weights: Any,
        scale: Any,
        offset: Any,
        like: Any,
        out_like: Any,
    ) -> Any:
        kinds, wanted = (like.dtype, scale.dtype), out_like.dtype

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            unpacked = [
                [builder.extract_value(one, i) for i in range(len(kind))]
                for one, kind in zip(arguments[2:4], signature.args[2:4], strict=True)
            ]
            how = _blend_threes if width == RGB else partial(_blend_values, width=width)
            value = how(context, builder, arguments[1], unpacked[0], unpacked[1], kinds)
            lanes = value.type.count
            by, plus = (_gather(context, builder, one, kinds[1], lanes) for one in arguments[4:6])
            value = builder.fmul(value, by, flags=_MAY_CONTRACT)
            value = builder.fadd(value, plus, flags=_MAY_CONTRACT)
            value = builder.shuffle_vector(value, value, _order(list(range(width))))
            target = _vector(context, wanted, width)
            if wanted != kinds[1]:
                narrower = wanted.bitwidth < kinds[1].bitwidth
                value = (builder.fptrunc if narrower else builder.fpext)(value, target)
            to = builder.inttoptr(arguments[0], ir.PointerType(target))
            builder.store(value, to, align=1)
            return context.get_dummy_value()

        shown = (out, address, steps, weights, scale, offset, like, out_like)
        return types.void(*shown), build

    return blend


blend_one, blend_three, blend_four = map(_blender, (1, 3, 4))
"""Interpolate 1, 3 or 4 values next to each other.

Args:
    out: Address of the first, written.
    address: Of the first, in the voxel before in every axis.
    steps: Bytes to the next voxel of each axis that there is to interpolate along.
    weights: Of the next voxel, for each of these axes.
    scale: A tuple of what is multiplied with each, of the type of the weights.
    offset: Of what is added to each, the same.
    like: The dtype of the source.
    out_like: The dtype of the output.
"""
