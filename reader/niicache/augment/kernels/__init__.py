"""The compiled loops of the transforms, a module a task. Here alone transforms import numba.

    compiling  how functions are compiled, and pointers
    many       the way in: samples of one shape, one call
    sweep      the resampling: all of it, row by row
    ways       the ways to the values of a block, chosen by types
    rows       which part of a row of output voxels is inside of the source
    blocks     coordinates, indices and weights of a block
    spline     how far a B-spline moves its voxels
    pairs      interpolation of one channel and at most four bytes a voxel
    channels   interpolation of everything else, voxel by voxel
    vectors    the channels of one voxel
    nearest    the nearest voxel
    whole      voxels that only change place: flips, quarter turns, whole shifts
    intensity  statistics, scales and powers of a channel
    smoothing  blur, and coarse grids

A row is worked on in blocks of :data:`~niicache.augment.kernels.compiling.BLOCK` values, a block
in three loops: coordinates to indices and weights, loads, interpolation. LLVM vectorises the first
and the last; the scratch between them stays in the first-level cache.
"""
