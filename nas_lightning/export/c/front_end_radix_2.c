/* Where the length is no power of 4. Each product is cut on its own, unlike in the other stages. */
static void radix_2(int16_t *low)
{
    for (int i = 0; i < Q15_POINTS / 2; i++, low += 2) {
        int16_t *high = low + Q15_POINTS;
        const int32_t cosine = turns_q15[i][0];
        const int32_t sine = turns_q15[i][1];
        const int32_t real = (low[0] >> 1) - (high[0] >> 1);
        const int32_t imag = (low[1] >> 1) - (high[1] >> 1);
        store(low, ((low[0] >> 1) + (high[0] >> 1)) >> 1, ((low[1] >> 1) + (high[1] >> 1)) >> 1);
        store(high,
              ((real * cosine) >> 16) + ((imag * sine) >> 16),
              ((imag * cosine) >> 16) - ((real * sine) >> 16));
    }
}

/* Makes up for the radix-2 stage, which divides by 4 where 2 would do; what leaves int16 wraps around. */
static void double_q15(int16_t *values, int count)
{
    for (int i = 0; i < count; i++) {
        values[i] = (int16_t)(values[i] * 2);
    }
}

/* Q15_SIZE values become bins 0 to Q15_SIZE / 2 of their spectrum, divided by Q15_SIZE; each stage rounds down. */
static void fft_q15(int16_t *values)
{
    radix_2(values);
    radix_4_first(values, Q15_POINTS / 2);
    for (int size = Q15_POINTS / 8; size > 4; size /= 4) {
        radix_4_middle(values, size);
    }
    radix_4_last(values);
    reverse_bits_q15(values);
    double_q15(values, Q15_SIZE);
    split_q15(values);
}
