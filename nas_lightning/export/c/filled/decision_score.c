/* Of values up to 0, by steps that every core with IEEE floats takes alike: no mathematical library is needed. */
static float exponential(float x)
{
    if (!(x >= @LEAST@)) {
        return x < 0.0f ? 0.0f : x; /* what is no number stays none */
    }
    const int32_t n = (int32_t)(x * @LOG2_E@ - 0.5f);
    const float steps = (float)n;
    const float r = (x - steps * @LN2_FIRST@) - steps * @LN2_REST@;
    float value = @FIRST@;
@TERMS@
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return value * power;
}

/* exp((logit - the largest) / MODEL_TEMPERATURE) of each class, and their sum. */
static float powers(const float *logits, float *each)
{
    const float largest = logits[best_of(logits)];
    float total = 0.0f;
    for (int k = 0; k < @COUNT@; ++k) {
        const float power = exponential((logits[k] - largest) / MODEL_TEMPERATURE);
        if (each) {
            each[k] = power;
        }
        total += power;
    }
    return total;
}
