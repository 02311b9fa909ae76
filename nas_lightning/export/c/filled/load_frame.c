static void load(const float *rows, @KIND@ *out)
{
@MEAN@    for (int i = 0; i < FRAME_SIZE; i++) {
        out[i] = @VALUE@;
    }
}
