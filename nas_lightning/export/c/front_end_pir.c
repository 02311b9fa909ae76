/*
 * A window that is repeated has energy in every SPREAD-th bin only: the bins of one window, SPREAD times as large.
 * Their means over SPREAD bins are those bins, which the spectrum of the window filled up with zeros holds too.
 */
static void pir_features(float *window, float *features)
{
    float row[WINDOW_FEATURES];
    kurtosis(window, WINDOW_SIZE / CHUNK_SIZE, row + 16);
    row[20] = sign_changes(window, WINDOW_SIZE) / (float)WINDOW_SIZE;
    row[21] = slope_changes(window, WINDOW_SIZE) / (float)(WINDOW_SIZE - 1);
    fill_up(window, WINDOW_SIZE);
    real_fft(window);
    magnitudes(window, window);
    for (int i = 0; i < 16; i++) {
        row[i] = window[SPREAD * (i + 1)];
    }
    dominant_frequencies(window, row + 22);
    row[24] = spectral_entropy(window);
    for (int i = 0; i < WINDOW_FEATURES; i++) {
        features[i * WINDOWS] = row[i];
    }
}
