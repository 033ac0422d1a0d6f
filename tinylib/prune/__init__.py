"""Taking weights and channels away."""
