"""A second, differently written right answer for each exercise of `qoc`."""

import math

import numpy as np
import torch


def param_shift(run, slots, uses, kinds):
    slopes = {}
    for slot in {s for weight in uses for s, _ in weight}:
        at = lambda turns, slot=slot: run([a + (turns * math.pi if i == slot else 0.0) for i, a in enumerate(slots)])
        near = at(0.5) - at(-0.5)
        if kinds[slot] == "rotation":
            slopes[slot] = near / 2
        else:
            far = at(1.5) - at(-1.5)
            slopes[slot] = ((2**0.5 + 1) * near - (2**0.5 - 1) * far) / (4 * 2**0.5)
    return [sum(scale * slopes[slot] for slot, scale in weight) for weight in uses]


def chain_rule(jacobian, upstream):
    return jacobian.flatten(0, 1).T @ upstream.flatten()


def sample_weights(magnitude, keep, rng):
    draws = rng.random(len(magnitude))
    ring = [(-math.log(d) / m if m > 0 else math.inf, d) for d, m in zip(draws, magnitude)]
    return sorted(sorted(range(len(magnitude)), key=lambda i: ring[i])[:keep])


def frozen_adam_step(weights, grad, chosen, state, lr):
    frozen = np.array([i not in chosen for i in range(len(weights))])
    t = state["t"] + 1
    m, v = 0.9 * state["m"] + 0.1 * grad, 0.999 * state["v"] + 0.001 * np.square(grad)
    moved = weights - lr * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    keep = lambda old, new: np.where(frozen, old, new)
    return keep(weights, moved), {"m": keep(state["m"], m), "v": keep(state["v"], v), "t": keep(state["t"], t)}


ALTERNATIVES = {
    "qoc.param_shift": param_shift,
    "qoc.chain_rule": chain_rule,
    "qoc.sample_weights": sample_weights,
    "qoc.frozen_adam_step": frozen_adam_step,
}
