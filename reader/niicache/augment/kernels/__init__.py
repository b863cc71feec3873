"""The compiled loops of the resampling, a module a task. Only they import numba.

    compiling  how functions are compiled, and pointers
    rows       which part of a row of output voxels is inside of the source
    blocks     coordinates, indices and weights of a block
    spline     how far a B-spline moves its voxels
    linear     interpolation, in one of two ways
    pairs      of one channel and at most four bytes a voxel
    channels   everything else, voxel by voxel
    vectors    the channels of one voxel
    nearest    the nearest voxel
    sweep      all of it, row by row
    whole      voxels that only change place: flips, quarter turns, whole shifts

A row is worked on in blocks of :data:`~niicache.augment.kernels.compiling.BLOCK` values, a block
in three loops: coordinates to indices and weights, loads, interpolation. LLVM vectorises the first
and the last; the scratch between them stays in the first-level cache.
"""
