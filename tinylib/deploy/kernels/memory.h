/* Moving bytes: copies, and int8 widened to int16 in the order that SXTB16 gives. */
#ifndef TINY_MEMORY_H
#define TINY_MEMORY_H
#include "simd.h"

#define INLINE static inline __attribute__((always_inline, unused))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define CLIP(v, lo, hi) ((v) < (lo) ? (lo) : (v) > (hi) ? (hi) : (v))

/* Hides where a pointer comes from: the compiler then adds small offsets to it instead of building every address anew. */
#define OPAQUE(p) __asm__ volatile("" : "+r"(p))

/* Where a tensor lies when only a window of the picture is computed. */
typedef struct { i16 ih, iw, oh, ow, pt, pl; } Geometry;

INLINE void copy_bytes(i8 *to, const i8 *from, int n) {
    for (; n >= 4; n -= 4, to += 4, from += 4) STORE4(to, LOAD4(from));
    for (; n > 0; --n) *to++ = *from++;
}

/* Four bytes as int16 in two words, in the order that SXTB16 gives: 0 and 2, then 1 and 3. */
INLINE void widen4(u32 *b, const i8 *p) {
#if TINY_DSP
    const u32 x = LOAD4(p);
    b[0] = SXTB16(x);
    b[1] = SXTB16R8(x);
#else
    half *h = (half *)b;
    h[0] = p[0]; h[1] = p[2]; h[2] = p[1]; h[3] = p[3];
#endif
}

/* `n` blocks of four bytes, `step` words apart in the target. */
INLINE u32 *widen_blocks(u32 *b, const int step, const i8 *p, int n) {
    for (; n > 0; --n, b += step, p += 4) widen4(b, p);
    return b;
}

INLINE u32 *fill_blocks(u32 *b, const int step, int n, const u32 pair) {
    for (; n > 0; --n, b += step) b[0] = b[1] = pair;
    return b;
}

/* `pixels` neighbouring pixels of `c` channels, block by block, the pixels side by side; the last block is filled up with zeros. */
INLINE void widen_pixels(u32 *b, const i8 *p, const int c, const int pixels) {
    for (int k = c / 4; k > 0; --k, p += 4)
        for (int i = 0; i < pixels; ++i, b += 2) widen4(b, p + i * c);
    if (c % 4)
        for (int i = 0; i < pixels; ++i, b += 2) {
            i8 last[4] = {0, 0, 0, 0};
            for (int j = 0; j < c % 4; ++j) last[j] = p[i * c + j];
            widen4(b, last);
        }
}
#endif
