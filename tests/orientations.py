"""Affines that point every way, for tests of grids."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from niicache.format.orientation import ENDS

WORDS = [
    "".join(pair[end] for pair, end in zip(order, ends, strict=True))
    for order in itertools.permutations(ENDS)
    for ends in itertools.product((0, 1), repeat=3)
]
words = st.sampled_from(WORDS)
lengths = st.tuples(*[st.floats(0.1, 9)] * 3)
angles = st.tuples(*[st.floats(-20, 20)] * 3)
shifts = st.tuples(*[st.floats(-99, 99)] * 3)


def pointing(word, spacing=(1, 1, 1), degrees=(0, 0, 0), origin=(0, 0, 0), shear=0.0):
    """Return an affine whose axes point where a word says, turned a little more and sheared."""
    axes = np.zeros((3, 3))
    for axis, letter in enumerate(word):
        world = next(number for number, pair in enumerate(ENDS) if letter in pair)
        axes[world, axis] = 1 if letter == ENDS[world][1] else -1
    slant = np.eye(3)
    slant[0, 1] = shear
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ axes @ slant
    affine[:3, :3] *= spacing
    affine[:3, 3] = origin
    return affine
