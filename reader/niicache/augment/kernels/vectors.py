"""Interpolation of the channels of one voxel at once, as a vector. The only builder of LLVM's."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from niicache.augment.kernels.compiling import RGB

_MAY_CONTRACT = ("contract",)


def _vector(context: Any, item: Any, width: int) -> Any:
    return ir.VectorType(context.get_value_type(item), width)


def _load(context: Any, builder: Any, address: Any, kinds: Any, width: int, *, late: bool) -> Any:
    """Load values next to each other, aligned or not, as floats.

    Three of them are loaded as four: with the next one, or where they are late with the one before.
    The one more belongs to the other voxel of the pair.
    """
    item, real = kinds
    lanes = _lanes(width)
    shift = late and lanes > width
    if shift:
        size = context.get_abi_sizeof(context.get_value_type(item))
        address = builder.sub(address, ir.Constant(address.type, size))
    stored, wanted = _vector(context, item, lanes), _vector(context, real, lanes)
    found = builder.load(builder.inttoptr(address, ir.PointerType(stored)), align=1, typ=stored)
    if shift:
        found = builder.shuffle_vector(found, found, _order([1, 2, 3, 3]))
    if isinstance(item, types.Integer):
        return (builder.sitofp if item.signed else builder.uitofp)(found, wanted)
    return found if item == real else builder.fpext(found, wanted)


def _lanes(width: int) -> int:
    return 4 if width == RGB else width


def _order(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)


def _spread(context: Any, builder: Any, number: Any, real: Any, width: int) -> Any:
    """Repeat a number in every lane."""
    empty = ir.Constant(_vector(context, real, width), ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, _order([0] * width))


def _between(builder: Any, near: Any, far: Any, weight: Any) -> Any:
    apart = builder.fsub(far, near, flags=_MAY_CONTRACT)
    part = builder.fmul(weight, apart, flags=_MAY_CONTRACT)
    return builder.fadd(near, part, flags=_MAY_CONTRACT)


def _corners(
    context: Any,
    builder: Any,
    address: Any,
    steps: Any,
    weights: Any,
    kinds: Any,
    width: int,
    *,
    late: bool = False,
) -> Any:
    """Interpolate along as many axes as there are steps, the first step's last."""
    if not steps:
        return _load(context, builder, address, kinds, width, late=late)
    after = builder.add(address, steps[0])
    near, far = [
        _corners(context, builder, at, steps[1:], weights[1:], kinds, width, late=at is after)
        for at in (address, after)
    ]
    weight = _spread(context, builder, weights[0], kinds[1], _lanes(width))
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
        kinds, wanted = (like.dtype, scale), out_like.dtype

        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            unpacked = [
                [builder.extract_value(one, i) for i in range(len(kind))]
                for one, kind in zip(arguments[2:4], signature.args[2:4], strict=True)
            ]
            value = _corners(context, builder, arguments[1], unpacked[0], unpacked[1], kinds, width)
            lanes = _lanes(width)
            by, plus = (_spread(context, builder, one, scale, lanes) for one in arguments[4:6])
            value = builder.fmul(value, by, flags=_MAY_CONTRACT)
            value = builder.fadd(value, plus, flags=_MAY_CONTRACT)
            value = builder.shuffle_vector(value, value, _order(list(range(width))))
            target = _vector(context, wanted, width)
            if wanted != scale:
                narrower = wanted.bitwidth < scale.bitwidth
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
    scale: Multiplied with each, of the type of the weights.
    offset: Added to each, the same.
    like: The dtype of the source.
    out_like: The dtype of the output.
"""
