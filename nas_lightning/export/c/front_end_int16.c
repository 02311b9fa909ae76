/*
 * Throughout, a shift of a negative number to the right rounds down, and what does not fit into int16 wraps around.
 * The C standard leaves both to the compiler; GCC and Clang do so.
 */
static int16_t saturate(int32_t value)
{
    if (value > INT16_MAX) {
        return INT16_MAX;
    }
    return (int16_t)(value < INT16_MIN ? INT16_MIN : value);
}

/* Halves go to the even number. What int16 does not hold becomes its nearest end, NaN becomes 0. */
static int16_t to_int16(float value)
{
    const float nearest = rintf(value);
    if (nearest >= 32767.0f) {
        return INT16_MAX;
    }
    if (nearest <= -32768.0f) {
        return INT16_MIN;
    }
    return isnan(nearest) ? 0 : (int16_t)nearest;
}

static int16_t to_q15(float value)
{
    return to_int16(value * 32768.0f);
}

static void round_to_q15(float *values, int count)
{
    for (int i = 0; i < count; i++) {
        values[i] = to_q15(values[i]);
    }
}
