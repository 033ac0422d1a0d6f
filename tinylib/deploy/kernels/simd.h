/* Dual 16-bit multiply-accumulate and friends: one Arm DSP instruction each, or portable C that gives the same bits. */
#ifndef TINY_SIMD_H
#define TINY_SIMD_H
#include <stdint.h>

typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef uint8_t u8;
typedef uint32_t u32;
typedef int16_t __attribute__((may_alias)) half;   /* halves written one by one and read as words of two */

#if defined(__ARM_FEATURE_DSP) && !defined(TINY_PORTABLE)
#define TINY_DSP 1
#define OP3(NAME, TEXT) static inline i32 NAME(u32 x, u32 y, i32 a) { i32 d; __asm__(TEXT " %0,%1,%2,%3" : "=r"(d) : "r"(x), "r"(y), "r"(a)); return d; }
OP3(SMLAD, "smlad")
OP3(SMLABB, "smlabb")
OP3(SMLABT, "smlabt")
OP3(SMLATB, "smlatb")
OP3(SMLATT, "smlatt")
static inline i32 SMMLA(i32 x, i32 y, i32 a) { i32 d; __asm__("smmla %0,%1,%2,%3" : "=r"(d) : "r"(x), "r"(y), "r"(a)); return d; }
static inline u32 SXTB16(u32 x) { u32 d; __asm__("sxtb16 %0,%1" : "=r"(d) : "r"(x)); return d; }
static inline u32 SXTB16R8(u32 x) { u32 d; __asm__("sxtb16 %0,%1,ror #8" : "=r"(d) : "r"(x)); return d; }
static inline i32 SSAT8(i32 x) { i32 d; __asm__("ssat %0,#8,%1" : "=r"(d) : "r"(x)); return d; }
static inline u32 MAX8(u32 x, u32 y) { u32 d; __asm__("ssub8 %0,%1,%2\n\tsel %0,%1,%2" : "=&r"(d) : "r"(x), "r"(y) : "cc"); return d; }
#else
#define TINY_DSP 0
static inline i32 LO16(u32 x) { return (i16)(x & 0xffffu); }
static inline i32 HI16(u32 x) { return (i16)(x >> 16); }
static inline i32 WRAP(i32 a, i32 b) { return (i32)((u32)a + (u32)b); }
static inline i32 SMLAD(u32 x, u32 y, i32 a) { return WRAP(WRAP(a, LO16(x) * LO16(y)), HI16(x) * HI16(y)); }
static inline i32 SMLABB(u32 x, u32 y, i32 a) { return WRAP(a, LO16(x) * LO16(y)); }
static inline i32 SMLABT(u32 x, u32 y, i32 a) { return WRAP(a, LO16(x) * HI16(y)); }
static inline i32 SMLATB(u32 x, u32 y, i32 a) { return WRAP(a, HI16(x) * LO16(y)); }
static inline i32 SMLATT(u32 x, u32 y, i32 a) { return WRAP(a, HI16(x) * HI16(y)); }
static inline i32 SMMLA(i32 x, i32 y, i32 a) { return WRAP(a, (i32)(((i64)x * y) >> 32)); }
static inline i32 SSAT8(i32 x) { return x < -128 ? -128 : x > 127 ? 127 : x; }
static inline u32 MAX8(u32 x, u32 y) {
    u32 d = 0;
    for (int i = 0; i < 32; i += 8) {
        i8 p = (i8)(x >> i), q = (i8)(y >> i);
        d |= (u32)(u8)(p > q ? p : q) << i;
    }
    return d;
}
#endif

/* Four bytes at any address (little endian). */
static inline u32 LOAD4(const i8 *p) { u32 x; __builtin_memcpy(&x, p, 4); return x; }
static inline void STORE4(i8 *p, u32 x) { __builtin_memcpy(p, &x, 4); }

/* round(v * m / 2**s) + z with ties upwards, all in 64 bits: for any 1 <= s <= 62. */
static inline i64 RESCALE(i32 v, i32 m, i32 s, i32 z) { return (((i64)v * m + ((i64)1 << (s - 1))) >> s) + z; }
static inline i32 CLIP64(i64 v, i32 lo, i32 hi) { return v < lo ? lo : v > hi ? hi : (i32)v; }

#endif
