/* Channel after channel, like the formula: the picture is walked in steps of C bytes, each tap asks whether it is inside. */
void conv(const int8_t *x, int8_t *y) {
    for (int k = 0; k < K; ++k)
        for (int oy = 0; oy < H; ++oy)
            for (int ox = 0; ox < W; ++ox) {
                int32_t acc = bias[k];
                for (int c = 0; c < C; ++c)
                    for (int i = 0; i < R; ++i)
                        for (int j = 0; j < R; ++j) {
                            const int iy = oy + i - PAD, ix = ox + j - PAD;
                            if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
                            acc += (x[(iy * W + ix) * C + c] - ZERO_IN) * weight[((k * R + i) * R + j) * C + c];
                        }
                y[(oy * W + ox) * K + k] = finish(acc, k);
            }
}
