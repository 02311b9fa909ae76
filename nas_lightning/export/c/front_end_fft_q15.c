typedef struct {
    int32_t real;
    int32_t imag;
} complex_q15;

static complex_q15 half_sum(const int16_t *a, const int16_t *b)
{
    const complex_q15 sum = {saturate(a[0] + b[0]) >> 1, saturate(a[1] + b[1]) >> 1};
    return sum;
}

static complex_q15 half_difference(const int16_t *a, const int16_t *b)
{
    const complex_q15 difference = {saturate(a[0] - b[0]) >> 1, saturate(a[1] - b[1]) >> 1};
    return difference;
}

static void store(int16_t *point, int32_t real, int32_t imag)
{
    point[0] = (int16_t)real;
    point[1] = (int16_t)imag;
}

static void store_turned(int16_t *point, int32_t real, int32_t imag, int angle)
{
    const int32_t cosine = turns_q15[angle][0];
    const int32_t sine = turns_q15[angle][1];
    store(point, (real * cosine + imag * sine) >> 16, (imag * cosine - real * sine) >> 16);
}

/* Quarters of int16: no sum of four of them leaves int16, so nothing saturates here. */
static void radix_4_first(int16_t *points, int size)
{
    const int step = Q15_POINTS / size;
    for (int i = 0; i < size / 4; i++) {
        for (int start = i; start < Q15_POINTS; start += size) {
            int16_t *a = points + 2 * start;
            int16_t *b = a + size / 2;
            int16_t *c = b + size / 2;
            int16_t *d = c + size / 2;
            const complex_q15 even = {(a[0] >> 2) + (c[0] >> 2), (a[1] >> 2) + (c[1] >> 2)};
            const complex_q15 odd = {(b[0] >> 2) + (d[0] >> 2), (b[1] >> 2) + (d[1] >> 2)};
            const complex_q15 across = {(a[0] >> 2) - (c[0] >> 2), (a[1] >> 2) - (c[1] >> 2)};
            const complex_q15 aside = {(b[0] >> 2) - (d[0] >> 2), (b[1] >> 2) - (d[1] >> 2)};
            store(a, (even.real >> 1) + (odd.real >> 1), (even.imag >> 1) + (odd.imag >> 1));
            store_turned(b, even.real - odd.real, even.imag - odd.imag, 2 * i * step);
            store_turned(c, across.real + aside.imag, across.imag - aside.real, i * step);
            store_turned(d, across.real - aside.imag, across.imag + aside.real, 3 * i * step);
        }
    }
}

static void radix_4_middle(int16_t *points, int size)
{
    const int step = Q15_POINTS / size;
    for (int i = 0; i < size / 4; i++) {
        for (int start = i; start < Q15_POINTS; start += size) {
            int16_t *a = points + 2 * start;
            int16_t *b = a + size / 2;
            int16_t *c = b + size / 2;
            int16_t *d = c + size / 2;
            const complex_q15 even = half_sum(a, c);
            const complex_q15 odd = half_sum(b, d);
            const complex_q15 across = half_difference(a, c);
            const complex_q15 aside = half_difference(b, d);
            store(a, (even.real + odd.real) >> 1, (even.imag + odd.imag) >> 1);
            store_turned(b, even.real - odd.real, even.imag - odd.imag, 2 * i * step);
            store_turned(c, across.real + aside.imag, across.imag - aside.real, i * step);
            store_turned(d, across.real - aside.imag, across.imag + aside.real, 3 * i * step);
        }
    }
}

static void radix_4_last(int16_t *points)
{
    for (int16_t *a = points; a < points + 2 * Q15_POINTS; a += 8) {
        int16_t *b = a + 2;
        int16_t *c = a + 4;
        int16_t *d = a + 6;
        const complex_q15 even = half_sum(a, c);
        const complex_q15 odd = half_sum(b, d);
        const complex_q15 across = half_difference(a, c);
        const complex_q15 aside = half_difference(b, d);
        store(a, even.real + odd.real, even.imag + odd.imag);
        store(b, even.real - odd.real, even.imag - odd.imag);
        store(c, across.real + aside.imag, across.imag - aside.real);
        store(d, across.real - aside.imag, across.imag + aside.real);
    }
}

static void reverse_bits_q15(int16_t *points)
{
    for (int i = 0, mirrored = 0; i < Q15_POINTS; i++) {
        if (i < mirrored) {
            int16_t *first = points + 2 * i;
            int16_t *second = points + 2 * mirrored;
            const int16_t real = first[0];
            const int16_t imag = first[1];
            store(first, second[0], second[1]);
            store(second, real, imag);
        }
        /* One is added from the highest bit downwards. */
        int bit = Q15_POINTS / 2;
        while (mirrored & bit) {
            mirrored ^= bit;
            bit /= 2;
        }
        mirrored |= bit;
    }
}

/* One bin of the spectrum, from the same bin of the transform of pairs and the one that mirrors it. */
static void split_bin(complex_q15 bin, complex_q15 mirrored, int32_t real, int32_t imag, int16_t *out)
{
    const int32_t other = saturate(32768 - real);
    store(out,
          (bin.real * real - bin.imag * imag + mirrored.real * other - mirrored.imag * imag) >> 16,
          (bin.real * imag + bin.imag * real - mirrored.real * imag - mirrored.imag * other) >> 16);
}

static void split_q15(int16_t *spectrum)
{
    const int32_t sum = spectrum[0] + spectrum[1];
    const int32_t difference = spectrum[0] - spectrum[1];
    store(spectrum, sum >> 1, 0);
    store(spectrum + Q15_SIZE, difference >> 1, 0);
    for (int i = 1; i <= Q15_POINTS / 2; i++) {
        int16_t *low = spectrum + 2 * i;
        int16_t *high = spectrum + 2 * (Q15_POINTS - i);
        const complex_q15 bin = {low[0], low[1]};
        const complex_q15 mirrored = {high[0], high[1]};
        split_bin(mirrored, bin, split_turns[i][0], -split_turns[i][1], high);
        split_bin(bin, mirrored, split_turns[i][0], split_turns[i][1], low);
    }
}
