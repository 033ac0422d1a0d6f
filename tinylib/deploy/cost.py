"""Estimated Cortex-M4 cycles of an instruction: a stated table, not a measurement.

Source: Arm Cortex-M4 Technical Reference Manual (DDI 0439), table of instruction timings, as remembered; wait states of the flash, pipelined
neighbouring loads (which cost less) and the dual issue of an M7 are left out. A branch that ends a block counts as taken.
"""

import re

TABLE = {"load or store of n words": "1 + n", "branch": 3, "divide (2 to 12, by operands)": 7, "anything else": 1}
_DIVIDE = ("sdiv", "udiv")
_BRANCH = re.compile(r"^(b|bl|bx|blx|cbz|cbnz|tbb|tbh|b(eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le))(\.w|\.n)?$")
_RANGE = re.compile(r"\b(r\d+|sb|sl|fp|ip|sp|lr|pc)\b")


def cycles(mnemonic: str, operands: str) -> int:
    """Estimated cycles of one instruction, given as capstone prints it."""
    if mnemonic.startswith(_DIVIDE):
        return TABLE["divide (2 to 12, by operands)"]
    if _BRANCH.match(mnemonic):
        return TABLE["branch"]
    if mnemonic.startswith(("ldm", "stm", "push", "pop")):
        listed = operands[operands.index("{"):]
        return 1 + len(_RANGE.findall(listed)) + (TABLE["branch"] if "pc" in listed else 0)
    if mnemonic.startswith(("ldrd", "strd")):
        return 3
    if mnemonic.startswith(("ldr", "str")):
        return 2
    return 1
