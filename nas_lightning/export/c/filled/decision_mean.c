void model_smoothing_begin(model_smoothing *state)
{
    state->seen = 0;
    state->next = 0;
}

int model_smooth(model_smoothing *state, const float *logits)
{
    float *const shares = state->shares[state->next];
    const float total = powers(logits, shares);
    for (int k = 0; k < @COUNT@; ++k) {
        shares[k] = shares[k] / total;
    }
    state->next = state->next + 1 < MODEL_SMOOTHING_WINDOWS ? state->next + 1 : 0;
    state->seen += state->seen < MODEL_SMOOTHING_WINDOWS;
    int best = 0;
    float most = 0.0f;
    for (int k = 0; k < @COUNT@; ++k) {
        float sum = 0.0f;
        for (int i = 0; i < state->seen; ++i) {
            sum += state->shares[i][k];
        }
        if (k == 0 || sum > most) {
            most = sum;
            best = k;
        }
    }
    return @RESULT@;
}
