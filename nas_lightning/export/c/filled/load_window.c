/* The first window begins PADDING rows before the frame; zeros stand for them. */
static void load(const float *rows, int window, @KIND@ *out)
{
    for (int i = 0; i < WINDOW_SIZE; i++) {
        const int row = window * WINDOW_HOP + i - PADDING;
        out[i] = row < 0 ? 0 : @VALUE@;
    }
}
