void model_smoothing_begin(model_smoothing *state)
{
    state->seen = 0;
}

int model_smooth(model_smoothing *state, const float *logits)
{
    for (int i = state->seen < MODEL_SMOOTHING_WINDOWS ? state->seen++ : state->seen - 1; i > 0; --i) {
        state->votes[i] = state->votes[i - 1];
    }
    state->votes[0] = model_decide(logits);
    int winner = 0, most = 0;
    for (int i = 0; i < state->seen; ++i) { /* the latest first, which wins among equals */
        int count = 0;
        for (int j = 0; j < state->seen; ++j) {
            count += state->votes[j] == state->votes[i];
        }
        if (count > most) {
            most = count;
            winner = state->votes[i];
        }
    }
    return winner;
}
