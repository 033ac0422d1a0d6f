"""Quantum circuits on tensors: states, gates as data, noise of real devices, gradients that come from circuits alone."""
