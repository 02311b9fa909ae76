/*
 * FFT_SIZE values become bins 0 to FFT_SIZE / 2 of their spectrum, real and imaginary parts in turn. Straight from
 * the definition, in FFT_SIZE * FFT_SIZE / 2 steps: powers of 2 from 8 on would get a fast transform.
 */
static void real_fft(float *values)
{
    static float signal[FFT_SIZE];
    for (int i = 0; i < FFT_SIZE; i++) {
        signal[i] = values[i];
    }
    for (int bin = 0; bin < BINS; bin++) {
        float real = 0.0f;
        float imag = 0.0f;
        int angle = 0;
        for (int i = 0; i < FFT_SIZE; i++) {
            real += signal[i] * turns[angle][0];
            imag -= signal[i] * turns[angle][1];
            angle += bin;
            if (angle >= FFT_SIZE) {
                angle -= FFT_SIZE;
            }
        }
        values[2 * bin] = real;
        values[2 * bin + 1] = imag;
    }
}
