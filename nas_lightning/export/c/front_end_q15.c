static void shift_left(int16_t *values, int count)
{
    for (int i = 0; i < count; i++) {
        values[i] = saturate(values[i] * (1 << SHIFT));
    }
}

static void shift_right(int16_t *values, int count)
{
    for (int i = 0; i < count; i++) {
        values[i] = (int16_t)(values[i] >> SHIFT);
    }
}

/* The root is found by Newton's method, in three steps from a table; it has half the scale of its arguments. */
static int16_t magnitude_q15(int32_t real, int32_t imag)
{
    uint32_t number = ((uint32_t)(real * real) + (uint32_t)(imag * imag)) >> 1;
    int shift = 0;
    if (number == 0) {
        return 0;
    }
    while (number < (1u << 29)) {
        number <<= 2;
        shift++;
    }
    uint32_t inverse = inverse_roots[(number >> 26) - 8];
    for (int i = 0; i < 3; i++) {
        const uint32_t square = (uint32_t)(((uint64_t)inverse * inverse) >> 28);
        const uint32_t product = (uint32_t)(((uint64_t)number * square) >> 31);
        inverse = (uint32_t)(((uint64_t)inverse * ((3u << 28) - product)) >> 29);
    }
    return (int16_t)((((uint64_t)number * inverse) >> 28) >> shift >> 16);
}

/* In place: a pair is read before its place is written. */
static void magnitudes_q15(int16_t *spectrum)
{
    for (int i = 0; i < Q15_BINS; i++) {
        spectrum[i] = magnitude_q15(spectrum[2 * i], spectrum[2 * i + 1]);
    }
}

static void group_means_q15(const int16_t *values, float *out)
{
    for (int group = 0; group < GROUPS; group++) {
        const int16_t *first = values + FIRST_BIN + group * GROUP_WIDTH;
        int32_t sum = 0;
        for (int i = 0; i < GROUP_WIDTH; i++) {
            sum += first[i];
        }
        /* Magnitudes are not negative: so a division rounds down. */
        out[group] = (float)(sum / GROUP_WIDTH);
    }
}

static void to_float(const int16_t *values, float *out, int count)
{
    for (int i = 0; i < count; i++) {
        out[i] = values[i];
    }
}
