static int sign_q15(int32_t value)
{
    return (value > 0) - (value < 0);
}

/* 0 has a sign of its own. */
static int sign_changes_q15(const int16_t *window)
{
    int changes = 0;
    for (int i = 1; i < WINDOW_SIZE; i++) {
        changes += sign_q15(window[i]) != sign_q15(window[i - 1]);
    }
    return changes;
}

/* Slopes of 1 are noise: only a steeper one can change the direction, beside the first one, which sets it. */
static int steep_changes(const int16_t *window)
{
    int changes = 0;
    int direction = sign_q15(window[1] - window[0]);
    for (int i = 2; i < WINDOW_SIZE; i++) {
        const int32_t slope = window[i] - window[i - 1];
        if ((slope > 1 || slope < -1) && sign_q15(slope) != direction) {
            direction = sign_q15(slope);
            changes++;
        }
    }
    return changes;
}

static void magnify_and_repeat(int16_t *window)
{
    for (int i = 0; i < WINDOW_SIZE; i++) {
        window[i] = saturate(window[i] * 128);
    }
    for (int i = WINDOW_SIZE; i < Q15_SIZE; i++) {
        window[i] = window[i - WINDOW_SIZE];
    }
}

/* The mean of SPREAD magnitudes times 128; halves go to the even number. */
static int32_t pooled(const int16_t *spectrum)
{
    int32_t sum = 0;
    for (int i = 0; i < SPREAD; i++) {
        sum += saturate(spectrum[i] * 128);
    }
    const int32_t mean = sum / SPREAD;
    const int32_t doubled_rest = 2 * (sum % SPREAD);
    return mean + (doubled_rest > SPREAD || (doubled_rest == SPREAD && mean % 2 == 1));
}

static float millihertz(int bin)
{
    const int64_t rounded_down = (bin * (int64_t)MILLIHERTZ) / Q15_SIZE;
    return (float)(rounded_down > INT16_MAX ? INT16_MAX : rounded_down);
}

/* The stronger one comes first; of equal magnitudes that of the lower bin. A magnitude of 0 counts as none. */
static void strongest_frequencies(const int16_t *spectrum, float *out)
{
    int strongest = 0;
    int second = 0;
    int16_t largest = 0;
    int16_t next = 0;
    for (int bin = 1; bin < Q15_BINS; bin++) {
        if (spectrum[bin] > largest) {
            second = strongest;
            next = largest;
            strongest = bin;
            largest = spectrum[bin];
        } else if (spectrum[bin] > next) {
            second = bin;
            next = spectrum[bin];
        }
    }
    out[0] = millihertz(strongest);
    out[1] = millihertz(second);
}

/* Kurtosis (16 to 19) and entropy (24) have no value in fixed point. */
static void pir_features_q15(int16_t *window, float *features)
{
    float row[WINDOW_FEATURES] = {0.0f};
    row[20] = (float)(1000 * sign_changes_q15(window));
    row[21] = (float)(1000 * steep_changes(window));
    magnify_and_repeat(window);
    fft_q15(window);
    magnitudes_q15(window);
    for (int i = 0; i < 16; i++) {
        row[i] = (float)pooled(window + 1 + SPREAD * i);
    }
    strongest_frequencies(window, row + 22);
    for (int i = 0; i < WINDOW_FEATURES; i++) {
        features[i * WINDOWS] = row[i];
    }
}
