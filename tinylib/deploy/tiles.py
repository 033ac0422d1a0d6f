"""Register tiles: the inner product of several output channels with several pixels at once, as Arm assembly and as portable C.

A tile holds `channels * pixels` sums in registers and walks through two streams: the weights (int8, four per word, in order of use) and the
activations, widened to int16 once for all channels. Both streams keep the order that SXTB16 gives: of four neighbours first 0 and 2, then 1 and 3.
2 channels x 3 pixels take 14 registers, all that a Cortex-M has free: 12 dual MACs, 4 loads and 4 extensions for 24 MACs.
"""

REGISTERS = ("r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "r7")
UNROLL = 16      # blocks of four inputs that are written out before a loop is made


def block(channels: int, pixels: int, *, wide: bool = False, first: bool = False) -> list[str]:
    """Assembly of one block: four inputs of every pixel against four weights of every channel.

    `wide`: weights are stored as int16, so that nothing is extended (twice the flash). `first`: only the sum of pixel 0 holds the bias yet;
    the other pixels start from it and pixel 0 comes last.
    """
    if wide:
        return _one_pixel_wide(channels)
    if pixels == 1:
        return _one_pixel(channels)
    assert channels in (1, 2)
    lines = ["ldrd %[w0],%[w1],[%[w]],#8"] if channels == 2 else ["ldr %[w0],[%[w]],#4"]
    for channel in range(channels):
        lines += [f"sxtb16 %[t{channel}],%[w{channel}]", f"sxtb16 %[w{channel}],%[w{channel}],ror #8"]
    for pixel in [*range(1, pixels), 0] if first else range(pixels):
        load = f"[%[a],#{8 * pixel}]" if first and pixel else f"[%[a]],#{8 * pixels}" if first else "[%[a]],#8"
        lines.append(f"ldrd %[a0],%[a1],{load}")
        for weight, half in (("t", "a0"), ("w", "a1")):
            for channel in range(channels):
                c, bias = f"%[c{channel * pixels + pixel}]", f"%[c{channel * pixels}]"
                lines.append(f"smlad {c},%[{weight}{channel}],%[{half}],{bias if first and weight == 't' else c}")
    return lines


def _one_pixel_wide(channels: int) -> list[str]:
    """One pixel, weights already in 16 bits: two loads of words and two dual MACs for four products."""
    lines = ["ldrd %[a0],%[a1],[%[a]],#8"]
    for channel in range(channels):
        c = f"%[c{channel}]"
        lines += ["ldrd %[w0],%[w1],[%[w]],#8", f"smlad {c},%[w0],%[a0],{c}", f"smlad {c},%[w1],%[a1],{c}"]
    return lines


def _one_pixel(channels: int) -> list[str]:
    """As `block`, for one pixel: the activations are loaded once and the channels pass by in pairs."""
    lines = ["ldrd %[a0],%[a1],[%[a]],#8"]
    for first in range(0, channels, 2):
        pair = min(2, channels - first)
        lines.append("ldrd %[w0],%[w1],[%[w]],#8" if pair == 2 else "ldr %[w0],[%[w]],#4")
        for i in range(pair):
            c = f"%[c{first + i}]"
            lines += [f"sxtb16 %[t0],%[w{i}]", f"sxtb16 %[w{i}],%[w{i}],ror #8",
                      f"smlad {c},%[t0],%[a0],{c}", f"smlad {c},%[w{i}],%[a1],{c}"]
    return lines


def split(blocks: int) -> tuple[int, int, int]:
    """(loop turns, blocks per turn, blocks after the loop) for a stream of `blocks`."""
    if blocks <= UNROLL:
        return 0, 0, blocks
    turn = max((d for d in range(8, UNROLL + 1) if blocks % d == 0), default=12)
    return blocks // turn, turn, blocks % turn


def assembly(channels: int, pixels: int, blocks: int, wide: bool = False) -> str:
    """One asm statement over C variables w, a and c0, c1, ... (channel-major). Written out, its first block spreads the bias to all pixels."""
    turns, per_turn, rest = split(blocks)
    lines, one = [], block(channels, pixels, wide=wide)
    if turns:
        lines += ["push {%[t0]}", "1:", *(one * per_turn), "ldr %[a0],[sp]", "cmp %[w],%[a0]", "bne 1b", "add sp,#4", *(one * rest)]
    else:
        lines += block(channels, pixels, wide=wide, first=True) + one * (rest - 1)
    pairs = min(channels, 2) if not wide else 2
    temps = [f"t{i}" for i in range(1 if pixels == 1 else pairs)] + [f"w{i}" for i in range(pairs)] + ["a0", "a1"]
    sums = [f"c{i}" for i in range(channels * pixels)]
    held = ["w", "a", *sums] + (["t0"] if turns else [])
    if not turns:
        held = [n for n in held if n not in sums or int(n[1:]) % pixels == 0]
    value = {"t0": f"w + {turns * per_turn * channels * (2 if wide else 1)}"}
    register = dict(zip(["w", "a", *sums, *temps], REGISTERS))
    declare = [f'register u32 r_{n} __asm__("{r}"){f" = (u32)({value.get(n, n)})" if n in held else ""};' for n, r in register.items()]
    outs = [f'[{n}]"{"+" if n in held else "="}r"(r_{n})' for n in register]
    text = "\n".join(f'    "{line}\\n"' for line in lines)
    back = "".join(f" {n} = (i32)r_{n};" for n in sums)
    return " ".join(declare) + f'\n__asm__ volatile(\n{text}\n    : {", ".join(outs)} : : "cc", "memory");\nw = (const u32 *)r_w;{back}'


def portable(channels: int, pixels: int, blocks: int, wide: bool = False) -> str:
    """The same walk in C, one multiplication at a time."""
    step, kind, order = (2 * channels, "half", (0, 1, 2, 3)) if wide else (channels, "i8", (0, 2, 1, 3))
    lines = [f"for (int k = 0; k < {blocks}; ++k, w += {step}, a += {2 * pixels}) {{",
             f"    const {kind} *v = (const {kind} *)w; const half *h = (const half *)a;"]
    for channel in range(channels):
        for pixel in range(pixels):
            products = [f"v[{4 * channel + byte}] * h[{4 * pixel + place}]" for place, byte in enumerate(order)]
            lines.append(f"    c{channel * pixels + pixel} += {' + '.join(products)};")
    return "\n".join([*lines, "}"])


def finish(clamp: tuple[int, int], fast: bool, zero_point: int, value: str, target: str) -> str:
    """C statement that scales the sum `value` by m, r, s and stores it: multiply high, shift, saturate, store when `fast`."""
    lo, hi = clamp
    if not fast:
        return f"{target} = (i8)CLIP64(RESCALE({value}, m, s, {zero_point}), {lo}, {hi});"
    text = f"SSAT8(SMMLA({value}, m, r) >> s)"
    if (lo, hi) == (-128, 127):
        return f"{target} = (i8){text};"
    limits = (f" if (v < {lo}) v = {lo};" if lo > -128 else "") + (f" if (v > {hi}) v = {hi};" if hi < 127 else "")
    return f"{{ i32 v = {text};{limits} {target} = (i8)v; }}"


def tile(channels: int, pixels: int, blocks: int, stride: int, ending, wide: bool = False) -> str:
    """A braced block of C that computes `channels` x `pixels` outputs.

    Reads its bias, weights and scaling from the stream `w` and leaves `w` behind them; reads pixels from `buffer`; writes to
    `o[channel + pixel * stride]`. `ending(value, target)` gives the statement that scales and stores a sum.
    """
    sums = [(f"c{ch * pixels + px}", ch, px) for ch in range(channels) for px in range(pixels)]
    lines = ["{", f"const u32 *a = buffer; i32 {', '.join(f'{n} = (i32)w[{ch}]' for n, ch, _ in sums)};", f"w += {channels};",
             "#if TINY_DSP", assembly(channels, pixels, blocks, wide), "#else", portable(channels, pixels, blocks, wide), "#endif"]
    for channel in range(channels):
        lines.append(f"{{ const i32 m = (i32)w[{3 * channel}], r = (i32)w[{3 * channel + 1}], s = (i32)w[{3 * channel + 2}]; (void)r;")
        lines += [ending(n, f"o[{ch + px * stride}]") for n, ch, px in sums if ch == channel]
        lines.append("}")
    return "\n".join([*lines, f"w += {3 * channels};", "}"])
