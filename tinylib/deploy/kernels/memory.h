/* Moving bytes: copies, and int8 widened to int16 in the order that SXTB16 gives. */
#ifndef TINY_MEMORY_H
#define TINY_MEMORY_H
#include "simd.h"

#define INLINE static inline __attribute__((always_inline, unused))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define CLIP(v, lo, hi) ((v) < (lo) ? (lo) : (v) > (hi) ? (hi) : (v))

/* Where a tensor lies when only a window of the picture is computed. */
typedef struct { i16 ih, iw, oh, ow, pt, pl; } Geometry;

INLINE void copy_bytes(i8 *to, const i8 *from, int n) {
    for (; n >= 4; n -= 4, to += 4, from += 4) STORE4(to, LOAD4(from));
    for (; n > 0; --n) *to++ = *from++;
}

/* `n` blocks of four bytes, `step` words apart in the target. */
INLINE u32 *widen_blocks(u32 *b, const int step, const i8 *p, int n) {
    for (; n > 0; --n, b += step, p += 4) {
        const u32 x = LOAD4(p);
        b[0] = SXTB16(x);
        b[1] = SXTB16R8(x);
    }
    return b;
}

INLINE u32 *fill_blocks(u32 *b, const int step, int n, const u32 pair) {
    for (; n > 0; --n, b += step) b[0] = b[1] = pair;
    return b;
}

/* `pixels` neighbouring pixels of `c` channels, block by block, the pixels side by side; the last block is filled up with zeros. */
INLINE void widen_pixels(u32 *b, const i8 *p, const int c, const int pixels) {
    for (int k = c / 4; k > 0; --k, p += 4)
        for (int i = 0; i < pixels; ++i, b += 2) {
            const u32 x = LOAD4(p + i * c);
            b[0] = SXTB16(x);
            b[1] = SXTB16R8(x);
        }
    if (c % 4)
        for (int i = 0; i < pixels; ++i, b += 2) {
            u32 x = 0;
            for (int j = 0; j < c % 4; ++j) x |= (u32)(u8)p[i * c + j] << (8 * j);
            b[0] = SXTB16(x);
            b[1] = SXTB16R8(x);
        }
}
#endif
