"""Other ways to the same batches: each writes its own format from the same voxels."""
