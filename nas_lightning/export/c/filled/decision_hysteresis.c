void model_smoothing_begin(model_smoothing *state)
{
    state->seen = 0;
}

int model_smooth(model_smoothing *state, const float *logits)
{
    const int label = model_decide(logits);
    if (!state->seen || label == state->held) {
        state->seen = 1;
        state->held = label;
        state->run = 0;
        return label;
    }
    state->run = state->run && label == state->other ? state->run + 1 : 1;
    state->other = label;
    if (state->run == MODEL_SMOOTHING_WINDOWS) {
        state->held = label;
        state->run = 0;
    }
    return state->held;
}
