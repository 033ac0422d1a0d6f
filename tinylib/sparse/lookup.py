"""Which row holds a coordinate? Three answers that agree: a dense grid, a merge of sorted keys, a hash table that compares what it finds.

Each fills table[d, k] with the row of the source at coordinate base_k + offset_d, or leaves -1. Loops run in numba without the GIL.
"""

import numba
import numpy as np

START, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15)


@numba.njit(cache=True, nogil=True)
def mixed(b, x, y, z):
    """64 bits from four whole numbers. The shift after each word is needed: without it two negative coordinates undo each other's flipped bits."""
    code = START
    for word in (b, x, y, z):
        code = (code ^ np.uint64(word)) * PRIME
        code ^= code >> np.uint64(32)
    return code


@numba.njit(cache=True, nogil=True)
def hash_table(source):
    """Open addressing with linear probing: slots hold row numbers, -1 is free. At most half of the slots are full."""
    size = 4
    while size < 2 * len(source):
        size *= 2
    mask = np.uint64(size - 1)
    slots = np.full(size, -1, np.int32)
    for row in range(len(source)):
        at = mixed(source[row, 0], source[row, 1], source[row, 2], source[row, 3]) & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = row
    return slots


@numba.njit(cache=True, nogil=True)
def by_hash(slots, source, base, offsets, table):
    """Hash look-up. A slot's row counts only when all four coordinates are equal, so a collision costs a step, never a wrong neighbour."""
    mask = np.uint64(len(slots) - 1)
    for d in range(len(offsets)):
        for k in range(len(base)):
            b, x, y, z = base[k, 0], base[k, 1] + offsets[d, 0], base[k, 2] + offsets[d, 1], base[k, 3] + offsets[d, 2]
            at = mixed(b, x, y, z) & mask
            while slots[at] >= 0:
                row = slots[at]
                if source[row, 0] == b and source[row, 1] == x and source[row, 2] == y and source[row, 3] == z:
                    table[d, k] = row
                    break
                at = (at + np.uint64(1)) & mask


@numba.njit(cache=True, nogil=True)
def by_grid(cells, keys, base_keys, steps, table):
    """Dense look-up: one int32 for every cell of the box (`cells` many), which must contain every base and every base + offset."""
    grid = np.full(cells, -1, np.int32)
    for row in range(len(keys)):
        grid[keys[row]] = row
    for d in range(len(steps)):
        for k in range(len(base_keys)):
            table[d, k] = grid[base_keys[k] + steps[d]]


@numba.njit(cache=True, nogil=True)
def by_merge(keys, rows, base_keys, base_rows, steps, table):
    """Two sorted lists walked side by side, once for each offset: a shift keeps the order, so nothing is sorted again."""
    n = len(keys)
    for d in range(len(steps)):
        j = 0
        for k in range(len(base_keys)):
            wanted = base_keys[k] + steps[d]
            while j < n and keys[j] < wanted:
                j += 1
            if j == n:
                break
            if keys[j] == wanted:
                table[d, base_rows[k]] = rows[j]


@numba.njit(cache=True, nogil=True)
def mirror(table):
    """Fills the second half of a symmetric table from the first: k sees j at offset d exactly when j sees k at -d. The middle is the identity."""
    last = len(table) - 1
    for d in range(last // 2):
        for k in range(table.shape[1]):
            if table[d, k] >= 0:
                table[last - d, table[d, k]] = k
    for k in range(table.shape[1]):
        table[last // 2, k] = k


@numba.njit(cache=True, nogil=True)
def compress(table):
    """(inputs, outputs, sizes): the pairs of all offsets, one offset after the other, outputs ascending within each."""
    sizes = np.zeros(len(table), np.int64)
    for d in range(len(table)):
        for k in range(table.shape[1]):
            sizes[d] += table[d, k] >= 0
    inputs, outputs = np.empty(sizes.sum(), np.int64), np.empty(sizes.sum(), np.int64)
    at = 0
    for d in range(len(table)):
        for k in range(table.shape[1]):
            if table[d, k] >= 0:
                inputs[at], outputs[at] = table[d, k], k
                at += 1
    return inputs, outputs, sizes


@numba.njit(cache=True, nogil=True)
def transpose(inputs, outputs, sizes, n_inputs):
    """The same pairs with roles swapped, sorted by what were the inputs: (new inputs, new outputs)."""
    new_inputs, new_outputs = np.empty_like(inputs), np.empty_like(outputs)
    partner = np.full(n_inputs, -1, np.int64)
    start = at = 0
    for size in sizes:
        for p in range(start, start + size):
            partner[inputs[p]] = outputs[p]
        for row in range(n_inputs):
            if partner[row] >= 0:
                new_inputs[at], new_outputs[at] = partner[row], row
                partner[row] = -1
                at += 1
        start += size
    return new_inputs, new_outputs


@numba.njit(cache=True, nogil=True)
def stable_order(rows, n):
    """The permutation that sorts whole numbers 0 <= rows < n, equal ones in their old order (counting sort)."""
    at = np.zeros(n + 1, np.int64)
    for row in rows:
        at[row + 1] += 1
    for row in range(n):
        at[row + 1] += at[row]
    order = np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        order[at[rows[i]]] = i
        at[rows[i]] += 1
    return order
