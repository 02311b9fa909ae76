/* Q15_SIZE values become bins 0 to Q15_SIZE / 2 of their spectrum, divided by Q15_SIZE; each stage rounds down. */
static void fft_q15(int16_t *values)
{
    radix_4_first(values, Q15_POINTS);
    for (int size = Q15_POINTS / 4; size > 4; size /= 4) {
        radix_4_middle(values, size);
    }
    radix_4_last(values);
    reverse_bits_q15(values);
    split_q15(values);
}
