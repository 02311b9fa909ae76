static void copy(const float *values, float *out, int count)
{
    for (int i = 0; i < count; i++) {
        out[i] = values[i];
    }
}

typedef struct {
    float sum;
    float lost;
} running_sum;

/* Carries along what rounding takes off: many rows far from 0 would lose digits of their mean otherwise. */
static void add(running_sum *total, float value)
{
    const float corrected = value - total->lost;
    const float sum = total->sum + corrected;
    total->lost = (sum - total->sum) - corrected;
    total->sum = sum;
}

static void remove_mean(float *values, int count)
{
    running_sum total = {0.0f, 0.0f};
    for (int i = 0; i < count; i++) {
        add(&total, values[i]);
    }
    const float mean = total.sum / (float)count;
    for (int i = 0; i < count; i++) {
        values[i] -= mean;
    }
}

static void divide(float *values, int count, float divisor)
{
    for (int i = 0; i < count; i++) {
        values[i] /= divisor;
    }
}

/* Halves go to the even number, which is how a processor rounds unless it is told otherwise. */
static void round_off(float *values, int count)
{
    for (int i = 0; i < count; i++) {
        values[i] = rintf(values[i]);
    }
}

static void absolute(float *values, int count)
{
    for (int i = 0; i < count; i++) {
        values[i] = fabsf(values[i]);
    }
}

/* -32768 stays as it is, because int16 has no 32768. */
static void absolute_q15(float *values, int count)
{
    for (int i = 0; i < count; i++) {
        if (values[i] > -32768.0f) {
            values[i] = fabsf(values[i]);
        }
    }
}

/* The result may lie over the spectrum: a pair is read before its place is written. */
static void magnitudes(const float *spectrum, float *out)
{
    for (int i = 0; i < BINS; i++) {
        const float real = spectrum[2 * i];
        const float imag = spectrum[2 * i + 1];
        out[i] = sqrtf(real * real + imag * imag);
    }
}

/* The upper half of a real signal's spectrum is the lower one in reverse. */
static void mirror(float *values)
{
    for (int i = BINS; i < FFT_SIZE; i++) {
        values[i] = values[FFT_SIZE - i];
    }
}

static void group_sums(const float *values, float *out)
{
    for (int group = 0; group < GROUPS; group++) {
        const float *first = values + FIRST_BIN + group * GROUP_WIDTH;
        float sum = 0.0f;
        for (int i = 0; i < GROUP_WIDTH; i++) {
            sum += first[i];
        }
        out[group] = sum;
    }
}

/* The threshold keeps the logarithm of 0 finite. A comparison lets NaN pass, which fmaxf would hide. */
static void log_db(float *values, int count)
{
    for (int i = 0; i < count; i++) {
        const float value = values[i] + LOG_THRESHOLD;
        values[i] = LOG_FACTOR * logf(value < LOG_LEAST ? LOG_LEAST : value);
    }
}
