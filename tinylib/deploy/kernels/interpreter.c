/* A generic interpreter of an integer graph: one loop over a table of operators, every size a variable, one MAC at a time.
   What code generation is measured against. Same arithmetic, same arena. */
#include "interpreter.h"

static inline int8_t finish(int64_t acc, int32_t m, int32_t s, const Operator *o) {
    const int64_t v = ((acc * m + ((int64_t)1 << (s - 1))) >> s) + o->zero_out;
    return (int8_t)(v < o->low ? o->low : v > o->high ? o->high : v);
}

static void conv(const Operator *o) {
    const int8_t *x = arena + o->in;
    int8_t *y = arena + o->out;
    for (int oy = 0; oy < o->oh; ++oy)
        for (int ox = 0; ox < o->ow; ++ox)
            for (int k = 0; k < o->k; ++k) {
                int32_t acc = o->bias[k];
                for (int i = 0; i < o->kh; ++i)
                    for (int j = 0; j < o->kw; ++j) {
                        const int iy = oy * o->sh - o->pt + i * o->dh, ix = ox * o->sw - o->pl + j * o->dw;
                        if (iy < 0 || iy >= o->ih || ix < 0 || ix >= o->iw) continue;
                        const int8_t *a = x + (iy * o->iw + ix) * o->c, *w = o->weight + ((k * o->kh + i) * o->kw + j) * o->c;
                        for (int c = 0; c < o->c; ++c) acc += (a[c] - o->zero_in) * w[c];
                    }
                y[(oy * o->ow + ox) * o->k + k] = finish(acc, o->m[k], o->s[k], o);
            }
}

static void depthwise(const Operator *o) {
    const int8_t *x = arena + o->in;
    int8_t *y = arena + o->out;
    for (int oy = 0; oy < o->oh; ++oy)
        for (int ox = 0; ox < o->ow; ++ox)
            for (int c = 0; c < o->c; ++c) {
                int32_t acc = o->bias[c];
                for (int i = 0; i < o->kh; ++i)
                    for (int j = 0; j < o->kw; ++j) {
                        const int iy = oy * o->sh - o->pt + i * o->dh, ix = ox * o->sw - o->pl + j * o->dw;
                        if (iy < 0 || iy >= o->ih || ix < 0 || ix >= o->iw) continue;
                        acc += (x[(iy * o->iw + ix) * o->c + c] - o->zero_in) * o->weight[(c * o->kh + i) * o->kw + j];
                    }
                y[(oy * o->ow + ox) * o->c + c] = finish(acc, o->m[c], o->s[c], o);
            }
}

static void pool(const Operator *o) {
    const int8_t *x = arena + o->in;
    int8_t *y = arena + o->out;
    for (int oy = 0; oy < o->oh; ++oy)
        for (int ox = 0; ox < o->ow; ++ox)
            for (int c = 0; c < o->c; ++c) {
                int32_t sum = 0, best = -128;
                for (int i = 0; i < o->kh; ++i)
                    for (int j = 0; j < o->kw; ++j) {
                        const int iy = oy * o->sh - o->pt + i, ix = ox * o->sw - o->pl + j;
                        if (iy < 0 || iy >= o->ih || ix < 0 || ix >= o->iw) continue;
                        const int8_t v = x[(iy * o->iw + ix) * o->c + c];
                        sum += v - o->zero_in;
                        best = v > best ? v : best;
                    }
                best = best < o->low ? o->low : best > o->high ? o->high : best;
                y[(oy * o->ow + ox) * o->c + c] = o->kind == MAXPOOL ? (int8_t)best : finish(sum, o->m[0], o->s[0], o);
            }
}

static void add(const Operator *o) {
    const int8_t *a = arena + o->in, *b = arena + o->in2;
    for (int i = 0; i < o->oh * o->ow * o->c; ++i) {
        const int32_t v = (a[i] - o->zero_in) * o->m[0] + (b[i] - o->zero_in2) * o->m[1];
        arena[o->out + i] = finish(v, 1, o->s[0], o);
    }
}

static void argmax(const Operator *o) {
    int best = 0;
    for (int i = 1; i < o->c; ++i) if (arena[o->in + i] > arena[o->in + best]) best = i;
    arena[o->out] = (int8_t)best;
}

void network_run(void) {
    for (int i = 0; i < operator_count; ++i) {
        const Operator *o = &operators[i];
        __asm__ volatile("" : "+r"(o));   /* hides the table from the compiler: an interpreter does not know its network */
        switch (o->kind) {
            case CONV: conv(o); break;
            case DEPTHWISE: depthwise(o); break;
            case AVGPOOL: case MAXPOOL: pool(o); break;
            case ADD: add(o); break;
            case ARGMAX: argmax(o); break;
        }
    }
}
