/* decision.c: float arithmetic in a given order, so that every core decides what was decided in training.
 * nas_lightning @VERSION@, network @IDENTITY@ */
@INCLUDES@

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD > 0
#error "this compiler computes floats in a wider type: the decisions would be other ones"
#endif
#if defined(__FAST_MATH__) || defined(__RECIPROCAL_MATH__)
#error "compile this file without -ffast-math and -Ofast: the decisions would be other ones"
#endif

static int best_of(const float *logits)
{
    int best = 0;
    for (int k = 1; k < @COUNT@; ++k) {
        best = logits[k] > logits[best] ? k : best;
    }
    return best;
}
@PARTS@
