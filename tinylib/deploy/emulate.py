"""Runs a compiled program on an emulated Cortex-M inside one board's memory and counts what it executes.

Only the board's SRAM and flash are mapped: an access anywhere else is an error that names the address and the nearest buffer. The stack lies
below all data, so that it cannot grow into a buffer unseen; it is painted beforehand and measured afterwards. Executed instructions are
counted per layer in a C hook (compiled once by ziglang), block by block. Instructions are not cycles: `cost` gives an estimate.
"""

import ctypes
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import capstone
import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm_const, unicorn_const
from unicorn.unicorn_py3 import unicorn as _binding

from tinylib.core.errors import TinylibError
from tinylib.deploy.boards import Board
from tinylib.deploy.cost import cycles
from tinylib.deploy.toolchain import build_host, cache_folder

FLASH, SRAM = 0x0800_0000, 0x2000_0000
PAINT = 0xC5
STOP = "stop_here"                     # the program's last label: `run` returns when it gets there
_CPU = {"cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4, "cortex-m7": arm_const.UC_CPU_ARM_CORTEX_M7}


class EmulationError(TinylibError):
    """The program did what the board could not: touched memory that is not there, or ran an unknown instruction."""


@dataclass(frozen=True)
class Region:
    """A named stretch of memory, for error messages."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Count:
    """What one layer executed: instructions (counted) and cycles (estimated by the table in `cost`)."""

    instructions: int
    cycles: int


@dataclass(frozen=True)
class Execution:
    """One run: per layer in order of the layers given, totals, bytes of stack used, seconds on this machine."""

    layers: dict[str, Count]
    instructions: int
    cycles: int
    stack_bytes: int
    seconds: float

    def estimated_ms(self, clock_hz: int) -> float:
        """Estimated milliseconds at `clock_hz`: the cost table's cycles, no more."""
        return 1e3 * self.cycles / clock_hz


class _Counter(ctypes.Structure):
    _fields_ = [("base", ctypes.c_uint32), ("slots", ctypes.c_uint32), ("layers", ctypes.c_uint32), ("layer", ctypes.c_uint32),
                ("clashes", ctypes.c_uint32), ("outside", ctypes.c_uint32), ("runs", ctypes.c_void_p), ("bytes", ctypes.c_void_p),
                ("entry", ctypes.c_void_p)]


@cache
def _hook() -> ctypes._CFuncPtr:
    """The counting hook, compiled once per version of its source."""
    source = Path(__file__).parent / "kernels" / "hook.c"
    name = f"hook-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}.so"
    target = cache_folder() / name
    if not target.is_file():
        building = f"{name}.{time.time_ns()}"
        build_host(source.parent, [source.name], str(cache_folder() / building))
        (cache_folder() / building).replace(target)
    return ctypes.CDLL(str(target)).count_block


class Machine:
    """A board with one program in it.

    `elf` is the linked program; `layers` names the C functions to count apart; `regions` names stretches of SRAM for error messages.
    """

    def __init__(self, elf: Path, board: Board, *, core: str | None = None, layers: Sequence[str] = (), regions: Sequence[Region] = ()):
        self.board, self.layer_names = board, tuple(layers)
        with open(elf, "rb") as file:
            image = ELFFile(file)
            self._segments = [(s["p_paddr"], s.data()) for s in image.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]
            table = image.get_section_by_name(".symtab")
            self._symbols = {s.name: (s["st_value"], s["st_size"], s["st_info"]["type"]) for s in table.iter_symbols() if s.name}
        self.regions = tuple(regions) or tuple(Region(n, a, s) for n, (a, s, kind) in self._symbols.items() if kind == "STT_OBJECT" and s)
        self.flash_bytes = sum(len(data) for _, data in self._segments)
        self._uc = uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(_CPU[core or board.core])
        uc.mem_map(FLASH, board.flash_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        uc.mem_map(SRAM, board.sram_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        for address, data in self._segments:
            uc.mem_write(address, data)
        self._fault = None
        uc.hook_add(unicorn_const.UC_HOOK_MEM_INVALID, self._on_invalid)
        self._install_counter()

    def _install_counter(self) -> None:
        code = max((a for a, data in self._segments if a == FLASH), default=FLASH)
        size = max((len(data) for a, data in self._segments if a == code), default=0)
        slots = size // 2 + 1
        self._runs = np.zeros((len(self.layer_names) + 1, slots), np.uint64)
        self._bytes, self._entry = np.zeros(slots, np.uint16), np.full(slots, -1, np.int16)
        for number, name in enumerate(self.layer_names):
            self._entry[(self.address(name) - FLASH) // 2] = number + 1
        self._counter = _Counter(FLASH, slots, len(self._runs), 0, 0, 0, self._runs.ctypes.data, self._bytes.ctypes.data, self._entry.ctypes.data)
        handle = ctypes.c_size_t()
        kinds = ctypes.c_int(unicorn_const.UC_HOOK_BLOCK)
        status = _binding.uclib.uc_hook_add(self._uc._uch, ctypes.byref(handle), kinds, ctypes.cast(_hook(), ctypes.c_void_p),
                                            ctypes.byref(self._counter), ctypes.c_uint64(1), ctypes.c_uint64(0))
        if status:
            raise EmulationError(f"The emulator refused the counting hook (code {status}).")

    def address(self, symbol: str) -> int:
        """Address of a function or object of the program (without the Thumb bit)."""
        if symbol not in self._symbols:
            raise EmulationError(f"The program has no symbol {symbol!r}.")
        value, _, kind = self._symbols[symbol]
        return value & ~1 if kind == "STT_FUNC" else value

    def write(self, symbol: str, values: np.ndarray, offset: int = 0) -> None:
        """Copy the bytes of `values` to `offset` bytes behind `symbol`."""
        self._uc.mem_write(self.address(symbol) + offset, np.ascontiguousarray(values).tobytes())

    def read(self, symbol: str, count: int, dtype=np.int8, offset: int = 0) -> np.ndarray:
        """`count` values of `dtype` from `offset` bytes behind `symbol`."""
        raw = self._uc.mem_read(self.address(symbol) + offset, count * np.dtype(dtype).itemsize)
        return np.frombuffer(bytes(raw), dtype)

    def run(self, function: str = "network_run") -> Execution:
        """Call a C function without arguments and return what it executed."""
        uc = self._uc
        top = self.address("stack_top")
        uc.mem_write(SRAM, bytes([PAINT]) * (top - SRAM))
        self._runs[:] = 0
        self._counter.layer = self._counter.outside = 0
        stop = self.address(STOP)
        uc.reg_write(arm_const.UC_ARM_REG_SP, top)
        uc.reg_write(arm_const.UC_ARM_REG_LR, stop | 1)
        self._fault, started = None, time.perf_counter()
        try:
            uc.emu_start(self.address(function) | 1, stop)
        except unicorn.UcError as error:
            raise EmulationError(self._explain(error)) from None
        seconds = time.perf_counter() - started
        painted = np.frombuffer(bytes(uc.mem_read(SRAM, top - SRAM)), np.uint8) == PAINT
        return self._account(seconds, top - SRAM - int(np.argmin(painted)) if not painted.all() else 0)

    def _account(self, seconds: float, stack_bytes: int) -> Execution:
        if self._counter.clashes or self._counter.outside:
            raise EmulationError("The block counter met code that it cannot count (one address with two block lengths, or code outside flash).")
        weights = np.zeros((2, self._runs.shape[1]), np.uint64)
        for slot in np.flatnonzero(self._bytes):
            weights[:, slot] = self._block(int(slot), int(self._bytes[slot]))
        totals = (self._runs @ weights.T).astype(np.int64)
        layers = {name: Count(int(i), int(c)) for name, (i, c) in zip(("(start)", *self.layer_names), totals)}
        return Execution(layers, int(totals[:, 0].sum()), int(totals[:, 1].sum()), stack_bytes, seconds)

    def _block(self, slot: int, size: int) -> tuple[int, int]:
        """Instructions and estimated cycles of the block at half-word `slot` of the code."""
        return _decode(bytes(self._uc.mem_read(FLASH + 2 * slot, size)))

    def _on_invalid(self, uc, access, address, size, value, data):
        self._fault = (access, address, size)
        return False

    def _explain(self, error: unicorn.UcError) -> str:
        pc = self._uc.reg_read(arm_const.UC_ARM_REG_PC)
        inside = [n for n, (a, s, kind) in self._symbols.items() if kind == "STT_FUNC" and (a & ~1) <= pc < (a & ~1) + max(s, 1)]
        where = f"in {inside[0]}" if inside else f"at pc 0x{pc:08x}"
        if self._fault is None:
            return f"The program stopped {where}: {error}."
        access, address, size = self._fault
        verb = "read" if access in (unicorn_const.UC_MEM_READ_UNMAPPED, unicorn_const.UC_MEM_READ_PROT) else \
            "fetch" if access in (unicorn_const.UC_MEM_FETCH_UNMAPPED, unicorn_const.UC_MEM_FETCH_PROT) else "write"
        return (f"Illegal {verb} of {size} bytes at 0x{address:08x} {where}: {self._place(address)}. The board {self.board.name} has "
                f"{self.board.sram_bytes} bytes of SRAM from 0x{SRAM:08x} and {self.board.flash_bytes} bytes of read-only flash from 0x{FLASH:08x}.")

    def _place(self, address: int) -> str:
        """Where an address lies, told by the nearest named buffer."""
        if SRAM - (1 << 16) <= address < SRAM:
            return f"{SRAM - address} bytes below SRAM, the stack has overflowed"
        below = [r for r in self.regions if r.address <= address]
        if not below:
            return "no buffer is near"
        near = max(below, key=lambda r: (r.address + r.size if r.address + r.size <= address else address, r.address))
        past = address - near.address - near.size
        return f"inside buffer {near.name!r}" if past < 0 else f"{past} bytes past the end of buffer {near.name!r}"


@cache
def _decode(code: bytes) -> tuple[int, int]:
    """Instructions and estimated cycles of straight Thumb code."""
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    listed = list(engine.disasm(code, 0))
    if sum(i.size for i in listed) != len(code):
        raise EmulationError("A block holds an instruction that the disassembler does not know.")
    return len(listed), sum(cycles(i.mnemonic, i.op_str) for i in listed)
