"""Predictions, decisions and quiz of the lab `quantum_circuits`. Each function draws the item for one learner."""

import math

import numpy as np

from tinylib.check.answers import as_number, letter, number
from tinylib.check.question import Item, Question


def ask_network(rng: np.random.Generator) -> Item:
    return Item("Four classes of 4 x 4 digit pictures. A plain softmax regression (68 weights) and a quantum network (18 weights, no noise) are trained. "
                "Which is more accurate on new pictures?", letter("a", {}),
                "The task is nearly linear. The circuit has fewer weights and sees the pixels only as angles.",
                (("a", "softmax regression, by several points"), ("b", "both alike, within one point"), ("c", "the quantum network, by several points")))


def ask_energy(rng: np.random.Generator) -> Item:
    return Item("One angle and one CNOT give the energy of hydrogen exactly, without noise. Chemists want it within 1.6 millihartree. "
                "How large is the error on a simulated five-wire machine of 2021, in millihartree? (One number.)",
                lambda value: None if as_number(value) is not None else "Give one number, for example 10.",
                "Every CNOT fails about once in a hundred, and every hundredth or so bit is misread; the energy scale is about a thousand millihartree.")


READ_ERROR = (0.0633, 0.0311, 0.1152, 0.0277, 0.2923)          # yorktown, mean of both directions, rounded; the lab prints them
PAIRS = ((0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4))


def ask_mapping(rng: np.random.Generator) -> Item:
    def verify(value: object) -> str | None:
        if type(value) is not list or len(value) != 2 or not all(type(v) is int and 0 <= v <= 4 for v in value) or value[0] == value[1]:
            return "Give a list of two different wires of the machine, such as [3, 4]."
        if tuple(sorted(value)) not in PAIRS:
            return f"Wires {value[0]} and {value[1]} are not coupled: the compiler would have to swap, three CNOTs each time."
        return None if tuple(sorted(value)) == (0, 1) else "It is coupled. But add up the reading errors of the two wires: there is a better pair."
    return Item("On which two wires of yorktown should the circuit run? (A list of two.)", verify,
                "Wires 0 and 1 are coupled and read with the smallest errors together. Wire 4 reads almost at random when it holds a 1.")


def plan_of(cx_error: float, depth: int) -> float:
    """Chance that none of 3 CNOTs a layer fails."""
    return (1 - cx_error) ** (3 * depth)


def decide_numbers(rng: np.random.Generator) -> tuple[float, float, float]:
    """(CNOT error, least success, standard error wanted) of this learner."""
    return float(rng.choice([0.01, 0.015, 0.02, 0.03])), float(rng.choice([0.6, 0.7, 0.8])), float(rng.choice([0.01, 0.02, 0.04]))


def best_plan(error: float, success: float, wanted: float) -> dict[str, int]:
    """Deepest circuit within the success rate; smallest power of two of shots that reaches the standard error for any value."""
    depth = max(d for d in range(1, 60) if plan_of(error, d) >= success)
    return {"depth": depth, "shots": 2 ** math.ceil(math.log2(1 / wanted**2))}


def ask_decide(rng: np.random.Generator) -> Item:
    error, success, wanted = decide_numbers(rng)
    best = best_plan(error, success, wanted)

    def verify(value: object) -> str | None:
        if type(value) is not dict or set(value) != {"depth", "shots"} or not all(type(v) is int and v > 0 for v in value.values()):
            return 'Give a dictionary such as {"depth": 2, "shots": 256}.'
        if plan_of(error, value["depth"]) < success:
            return f"With {value['depth']} layers all CNOTs succeed in only {100 * plan_of(error, value['depth']):.0f} % of the runs."
        if value["depth"] < best["depth"]:
            return "A deeper circuit still keeps the success rate."
        if value["shots"] < 1 / wanted**2:
            return f"With {value['shots']} shots the standard error can be {1 / math.sqrt(value['shots']):.3f}."
        return None if value["shots"] == best["shots"] else "Fewer shots are enough: take the smallest power of two."
    return Item(f"Each layer has 3 CNOTs, and each CNOT fails with probability {error:g}. "
                f"All of them must succeed in at least {100 * success:.0f} % of the runs. "
                f"A mean of +1 and -1 must have a standard error of at most {wanted:g} whatever its value. "
                "Choose the deepest circuit and the smallest power of two of shots. (A dictionary with depth and shots.)", verify,
                "Success is (1 - error)^(3 depth). The standard error of a mean of signs is at most 1 / sqrt(shots).")


def ask_amplitudes(rng: np.random.Generator) -> Item:
    n = int(rng.integers(5, 12))
    return Item(f"How many complex amplitudes describe {n} wires?", number(2**n, "Every wire doubles the number of basis states."), f"2^{n} = {2**n}.")


def ask_index(rng: np.random.Generator) -> Item:
    bits = "".join(str(b) for b in rng.permutation([1, 0, 0, 1]))
    bits = bits if bits != bits[::-1] else "1000"
    return Item(f"Our state has wires 0 to 3 in |{bits}>. Which index does this basis state have in qiskit's vector?",
                number(int(bits[::-1], 2), "In qiskit qubit 0 is the least significant bit: read the string backwards."),
                f"|{bits}> read backwards is {bits[::-1]} in binary, {int(bits[::-1], 2)}.")


def ask_z(rng: np.random.Generator) -> Item:
    k = int(rng.integers(1, 10))
    return Item(f"A wire is measured 1,000 times and gives 1 in {100 * k} of them. What is the estimate of <Z>?",
                lambda value: None if as_number(value) is not None and abs(value - (1 - 0.2 * k)) < 1e-9 else "0 counts as +1, and 1 as -1. Take the mean.",
                f"({1000 - 100 * k} - {100 * k}) / 1000 = {1 - 0.2 * k:.1f}.")


def ask_phase(rng: np.random.Generator) -> Item:
    return Item("Two versions of a one-wire gate differ by a factor e^(i a). When can a measurement tell them apart?",
                letter("b", {"a": "A factor on the whole state has absolute value 1 and drops out of every probability.",
                             "c": "More shots give sharper probabilities. These are equal.",
                             "d": "It can, in one situation. Think of a control wire in superposition."}),
                "Under a control, the factor sits on one branch only. It becomes a relative phase of the control wire, and that can be measured.",
                (("a", "always"), ("b", "when the gate is controlled by another wire"), ("c", "with enough shots"), ("d", "never")))


def ask_bell(rng: np.random.Generator) -> Item:
    return Item("Two wires are in (|00> + |11>) / sqrt 2. Where is the Bloch vector of one wire alone?",
                letter("c", {"a": "That would mean that this wire always reads 0.",
                             "b": "Then measuring X on it would always give +1. Here it gives +1 half of the time.",
                             "d": "Each wire alone still has a state, though a mixed one."}),
                "Alone, the wire answers every question at random: the vector has length 0. All the information is in how both answers agree.",
                (("a", "at the north pole"), ("b", "on the equator, along x"), ("c", "at the centre of the sphere"), ("d", "it has none")))


QUESTIONS = (
    Question("quantum_circuits.network", "prediction", 1, ask_network),
    Question("quantum_circuits.energy", "prediction", 1, ask_energy),
    Question("quantum_circuits.mapping", "decision", 2, ask_mapping),
    Question("quantum_circuits.decide", "decision", 3, ask_decide),
    Question("quantum_circuits.quiz.1", "quiz", 1, ask_amplitudes),
    Question("quantum_circuits.quiz.2", "quiz", 1, ask_index),
    Question("quantum_circuits.quiz.3", "quiz", 1, ask_z),
    Question("quantum_circuits.quiz.4", "quiz", 1, ask_phase),
    Question("quantum_circuits.quiz.5", "quiz", 1, ask_bell),
)
