/* Smallest start of a Cortex-M: vector table, cleared memory, self-check, then the result in `selfcheck_result` (0 = all right).
   With -DSEMIHOSTING (a debugger or qemu listens) the result is also the exit code. */
#include <stdint.h>
int network_selfcheck(void);
extern uint32_t stack_top, bss_start, bss_end;
volatile int selfcheck_result;

static void leave(int code) {
#ifdef SEMIHOSTING
    uint32_t block[2] = {0x20026u, (uint32_t)code};
    register uint32_t r0 __asm__("r0") = 0x20u;
    register uint32_t *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(r0), "r"(r1) : "memory");
#else
    (void)code;
#endif
    for (;;) __asm__ volatile("");
}

void reset(void) {
    for (uint32_t *p = &bss_start; p < &bss_end; ++p) *p = 0;
    selfcheck_result = network_selfcheck();
    leave(selfcheck_result > 255 ? 255 : selfcheck_result);
}

static void fault(void) { leave(99); }

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))&stack_top, reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault};
