/* Channels innermost: bytes are read in the order in which they lie, and one question about the border serves C products. */
void conv(const int8_t *x, int8_t *y) {
    for (int oy = 0; oy < H; ++oy)
        for (int ox = 0; ox < W; ++ox)
            for (int k = 0; k < K; ++k) {
                int32_t acc = bias[k];
                for (int i = 0; i < R; ++i)
                    for (int j = 0; j < R; ++j) {
                        const int iy = oy + i - PAD, ix = ox + j - PAD;
                        if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
                        const int8_t *a = x + (iy * W + ix) * C, *w = weight + ((k * R + i) * R + j) * C;
                        for (int c = 0; c < C; ++c) acc += (a[c] - ZERO_IN) * w[c];
                    }
                y[(oy * W + ox) * K + k] = finish(acc, k);
            }
}
