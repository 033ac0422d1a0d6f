"""Search engines that know genes and scores, never a network."""
