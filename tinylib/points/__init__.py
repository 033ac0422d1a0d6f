"""Networks on point clouds and voxels."""
