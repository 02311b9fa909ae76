/* The normalisation of the input, and its quantization. */
static const float mean[MODEL_CHANNELS] = @MEAN@;
static const float factor[MODEL_CHANNELS] = @FACTOR@;
static const float offset[MODEL_CHANNELS] = @OFFSET@;

static int8_t quantized(float value)
{
    value = value / @SCALE@;
    value = value > @LOW@.0f ? value : @LOW@.0f;
    value = value < @HIGH@.0f ? value : @HIGH@.0f;
    return (int8_t)(whole(value) + @ZERO_POINT@);
}

void model_run(const float *x, float *logits)
{
    int8_t *const input = arena + @INPUT_OFFSET@;
    for (int c = 0; c < MODEL_CHANNELS; ++c) {
        for (int t = 0; t < MODEL_STEPS; ++t) {
            const int i = c * MODEL_STEPS + t;
            input[i] = quantized((x[i] - mean[c]) * factor[c] + offset[c]);
        }
    }
    network(input, logits);
}
