/* What the programs for checking and measuring run: CHAIN is the network alone, the feature extraction alone, or both.
 * in: IN floats, out: OUT floats. */
#ifndef CHAIN_H
#define CHAIN_H
#include "model.h"
#ifdef WITH_FEATURES
#include "feature_extraction.h"
#endif

#if CHAIN == 1 /* the network */
#define IN (MODEL_CHANNELS * MODEL_STEPS)
#define OUT MODEL_OUTPUTS
static void chain(const float *in, float *out)
{
    model_run(in, out);
}
#elif CHAIN == 2 /* the feature extraction */
#define IN (FEATURE_EXTRACTION_CHANNELS * FEATURE_EXTRACTION_ROWS)
#define OUT FEATURE_EXTRACTION_FEATURES
static void chain(const float *in, float *out)
{
    feature_extraction_run(in, out);
}
#elif CHAIN == 3 /* both */
#define IN (FEATURE_EXTRACTION_CHANNELS * FEATURE_EXTRACTION_ROWS)
#define OUT MODEL_OUTPUTS
static void chain(const float *in, float *out)
{
    static float features[FEATURE_EXTRACTION_FEATURES];
    feature_extraction_run(in, features);
    model_run(features, out);
}
#else
#error "CHAIN is 1, 2 or 3"
#endif
#endif
