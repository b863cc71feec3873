"""The compiled loops of the resampling, a module a task. Only they import numba.

    compiling  how functions are compiled, and pointers
    rows       which part of a row of output voxels is inside of the source
    blocks     coordinates, indices and weights of a block
    spline     how far a B-spline moves its voxels
    linear     interpolation, by pairs or by corners
    pairs      of one channel and at most four bytes a voxel
    corners    everything else
    nearest    the nearest voxel
    sweep      all of it, row by row
    whole      voxels that only change place: flips, quarter turns, whole shifts

A row is worked on in blocks of :data:`~niicache.augment.kernels.compiling.BLOCK` values, a block
in three loops: coordinates to indices and weights, loads, interpolation. LLVM vectorises the first
and the last; the scratch between them stays in the first-level cache.
"""
