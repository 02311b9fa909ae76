/* The table holds half a turn of the cosine; the sine is the same curve, a quarter of a turn later. */
static float sine(int angle)
{
    return cosines[angle < FFT_SIZE / 4 ? FFT_SIZE / 4 - angle : angle - FFT_SIZE / 4];
}

static void reverse_bits(float *points)
{
    for (int i = 0, mirrored = 0; i < FFT_POINTS; i++) {
        if (i < mirrored) {
            float *first = points + 2 * i;
            float *second = points + 2 * mirrored;
            const float real = first[0];
            const float imag = first[1];
            first[0] = second[0];
            first[1] = second[1];
            second[0] = real;
            second[1] = imag;
        }
        /* One is added from the highest bit downwards. */
        int bit = FFT_POINTS / 2;
        while (mirrored & bit) {
            mirrored ^= bit;
            bit /= 2;
        }
        mirrored |= bit;
    }
}

static void butterflies(float *points, int half)
{
    for (int i = 0; i < half; i++) {
        const int angle = i * (FFT_POINTS / half);
        const float cos_i = cosines[angle];
        const float sin_i = sine(angle);
        for (int start = i; start < FFT_POINTS; start += 2 * half) {
            float *low = points + 2 * start;
            float *high = low + 2 * half;
            const float real = high[0] * cos_i + high[1] * sin_i;
            const float imag = high[1] * cos_i - high[0] * sin_i;
            high[0] = low[0] - real;
            high[1] = low[1] - imag;
            low[0] += real;
            low[1] += imag;
        }
    }
}

/* From the transform of pairs to the spectrum of the values; bins i and FFT_POINTS - i need each other. */
static void split(float *spectrum)
{
    const float sum = spectrum[0] + spectrum[1];
    const float difference = spectrum[0] - spectrum[1];
    spectrum[0] = sum;
    spectrum[1] = 0.0f;
    spectrum[FFT_SIZE] = difference;
    spectrum[FFT_SIZE + 1] = 0.0f;
    for (int i = 1; i <= FFT_POINTS / 2; i++) {
        float *low = spectrum + 2 * i;
        float *high = spectrum + 2 * (FFT_POINTS - i);
        const float even_real = 0.5f * (low[0] + high[0]);
        const float even_imag = 0.5f * (low[1] - high[1]);
        const float odd_real = 0.5f * (low[1] + high[1]);
        const float odd_imag = 0.5f * (high[0] - low[0]);
        const float turned_real = odd_real * cosines[i] + odd_imag * sine(i);
        const float turned_imag = odd_imag * cosines[i] - odd_real * sine(i);
        low[0] = even_real + turned_real;
        low[1] = even_imag + turned_imag;
        high[0] = even_real - turned_real;
        high[1] = turned_imag - even_imag;
    }
}

/*
 * FFT_SIZE values become bins 0 to FFT_SIZE / 2 of their spectrum, real and imaginary parts in turn. Neighbouring
 * values are taken as one complex point: so no memory is needed but that of the result.
 */
static void real_fft(float *values)
{
    reverse_bits(values);
    for (int half = 1; half < FFT_POINTS; half *= 2) {
        butterflies(values, half);
    }
    split(values);
}
