/* Excess kurtosis of each chunk, unbiased. A chunk that varies by rounding only counts as constant. */
static void kurtosis(const float *values, int chunks, float *out)
{
    const float n = CHUNK_SIZE;
    for (int chunk = 0; chunk < chunks; chunk++, values += CHUNK_SIZE) {
        float mean = 0.0f;
        for (int i = 0; i < CHUNK_SIZE; i++) {
            mean += values[i];
        }
        mean /= n;
        float variance = 0.0f;
        float fourth = 0.0f;
        for (int i = 0; i < CHUNK_SIZE; i++) {
            const float square = (values[i] - mean) * (values[i] - mean);
            variance += square;
            fourth += square * square;
        }
        variance /= n;
        fourth /= n;
        const float rounding = RESOLUTION * mean;
        out[chunk] = 0.0f;
        if (variance > rounding * rounding) {
            const float ratio = (n * n - 1.0f) * fourth / (variance * variance);
            out[chunk] = (ratio - 3.0f * (n - 1.0f) * (n - 1.0f)) / ((n - 2.0f) * (n - 3.0f));
        }
    }
}

static int sign(float value)
{
    return (value > 0.0f) - (value < 0.0f);
}

/* 0 has a sign of its own. */
static float sign_changes(const float *values, int count)
{
    int changes = 0;
    for (int i = 1; i < count; i++) {
        changes += sign(values[i]) != sign(values[i - 1]);
    }
    return (float)changes;
}

static float slope_changes(const float *values, int count)
{
    int changes = 0;
    for (int i = 2; i < count; i++) {
        changes += sign(values[i] - values[i - 1]) != sign(values[i - 1] - values[i - 2]);
    }
    return (float)changes;
}

static void fill_up(float *values, int count)
{
    for (int i = count; i < FFT_SIZE; i++) {
        values[i] = 0.0f;
    }
}

/* In nats. Without any power there is nothing to divide by, and the entropy is 0. */
static float spectral_entropy(const float *spectrum)
{
    float total = 0.0f;
    for (int i = 0; i < BINS; i++) {
        total += spectrum[i] * spectrum[i];
    }
    const float divisor = total > 0.0f ? total : 1.0f;
    float entropy = 0.0f;
    for (int i = 0; i < BINS; i++) {
        const float share = spectrum[i] * spectrum[i] / divisor;
        if (share != 0.0f) {
            entropy -= share * logf(share);
        }
    }
    return entropy;
}

/* Bin 0 is left out; of equal magnitudes the lower bin is the stronger one, which comes last. */
static void dominant_frequencies(const float *spectrum, float *out)
{
    int strongest = 1;
    int second = 2;
    if (spectrum[2] > spectrum[1]) {
        strongest = 2;
        second = 1;
    }
    for (int bin = 3; bin < BINS; bin++) {
        if (spectrum[bin] > spectrum[strongest]) {
            second = strongest;
            strongest = bin;
        } else if (spectrum[bin] > spectrum[second]) {
            second = bin;
        }
    }
    out[0] = (float)second * HERTZ_PER_BIN;
    out[1] = (float)strongest * HERTZ_PER_BIN;
}
