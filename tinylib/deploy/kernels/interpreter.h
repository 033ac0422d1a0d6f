/* The table that the interpreter reads. */
#ifndef INTERPRETER_H
#define INTERPRETER_H
#include <stdint.h>
enum { CONV, DEPTHWISE, AVGPOOL, MAXPOOL, ADD, ARGMAX };
typedef struct {
    int32_t kind, in, in2, out, ih, iw, c, oh, ow, k, kh, kw, sh, sw, pt, pl, dh, dw, zero_in, zero_in2, zero_out, low, high;
    const int8_t *weight;
    const int32_t *bias, *m, *s;
} Operator;
extern int8_t arena[];
extern const Operator operators[];
extern const int operator_count;
#endif
