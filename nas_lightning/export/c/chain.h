/* What the programs for checking and measuring run: CHAIN is the network alone, the feature extraction alone, both, or
 * what is decided by logits, of a window alone or of several.
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
/* Logits, and behind them whether the window is the first of a recording. Not inline: before a core has switched on its
 * floating-point unit, nothing may use it. */
#elif CHAIN == 4 /* what is decided of a window */
#include "decision.h"
#define IN (MODEL_OUTPUTS + 1)
#define OUT 1
static __attribute__((noinline)) void chain(const float *in, float *out)
{
    out[0] = (float)model_decide(in);
}
#elif CHAIN == 5 /* what is decided of several */
#include "decision.h"
#define IN (MODEL_OUTPUTS + 1)
#define OUT 1
static __attribute__((noinline)) void chain(const float *in, float *out)
{
    static model_smoothing state;
    if (in[MODEL_OUTPUTS] > 0.5f) {
        model_smoothing_begin(&state);
    }
    out[0] = (float)model_smooth(&state, in);
}
#else
#error "CHAIN is 1 to 5"
#endif
#endif
