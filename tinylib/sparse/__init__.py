"""Sparse tensors in three dimensions: coordinates, kernel maps, convolutions on the voxels that exist."""
