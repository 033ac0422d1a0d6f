"""Floor 0: paths, units, errors, checkpoints and records; everything else stands on it."""
