/* What a compiler may ask for without a C library, and the place where a run ends. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    while (n--) *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t n) {
    uint8_t *t = to;
    while (n--) *t++ = (uint8_t)value;
    return to;
}

void __attribute__((used)) stop_here(void) {
    for (;;) __asm__ volatile("");
}
