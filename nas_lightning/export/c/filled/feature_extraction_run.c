void feature_extraction_run(const float *rows, float *features)
{
    for (int channel = 0; channel < FEATURE_EXTRACTION_CHANNELS; channel++) {
@BODY@
        rows += FEATURE_EXTRACTION_ROWS;
    }
}
