/* Two output channels at once, four inputs written out: each activation is loaded once for two products. The zero point sits in the bias. */
void conv(const int8_t *x, int8_t *y) {
    for (int oy = 0; oy < H; ++oy)
        for (int ox = 0; ox < W; ++ox)
            for (int k = 0; k < K; k += 2) {
                int32_t acc0 = folded[k], acc1 = folded[k + 1];
                const int8_t *w = weight + k * R * R * C, *v = w + R * R * C;
                for (int i = 0; i < R; ++i)
                    for (int j = 0; j < R; ++j) {
                        const int iy = oy + i - PAD, ix = ox + j - PAD;
                        const int8_t *a = iy >= 0 && iy < H && ix >= 0 && ix < W ? x + (iy * W + ix) * C : border;
                        for (int c = 0; c < C; c += 4, a += 4, w += 4, v += 4) {
                            acc0 += a[0] * w[0]; acc1 += a[0] * v[0];
                            acc0 += a[1] * w[1]; acc1 += a[1] * v[1];
                            acc0 += a[2] * w[2]; acc1 += a[2] * v[2];
                            acc0 += a[3] * w[3]; acc1 += a[3] * v[3];
                        }
                    }
                y[(oy * W + ox) * K + k] = finish(acc0, k);
                y[(oy * W + ox) * K + k + 1] = finish(acc1, k + 1);
            }
}
