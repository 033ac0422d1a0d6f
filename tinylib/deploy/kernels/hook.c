/* Block hook for the emulator: counts how often each block of code runs, apart for each layer. Called by unicorn for every block. */
#include <stdint.h>

typedef struct {
    uint32_t base, slots, layers, layer;   /* flash address; half-words of code; rows of `runs`; the layer running now */
    uint32_t clashes;                      /* blocks seen with two lengths: their count would be wrong */
    uint32_t outside;                      /* blocks run outside the counted code */
    uint64_t *runs;                        /* [layers][slots] */
    uint16_t *bytes;                       /* [slots] length of the block that starts here */
    int16_t *entry;                        /* [slots] layer whose function starts here, else -1 */
} Counter;

void count_block(void *engine, uint64_t address, uint32_t size, void *data) {
    Counter *c = data;
    uint32_t slot = ((uint32_t)address - c->base) >> 1;
    (void)engine;
    if (slot >= c->slots) { c->outside++; return; }
    if (c->entry[slot] >= 0) c->layer = (uint32_t)c->entry[slot];
    if (c->bytes[slot] != size) {
        if (c->bytes[slot]) c->clashes++;
        c->bytes[slot] = (uint16_t)size;
    }
    c->runs[(uint64_t)c->layer * c->slots + slot]++;
}
