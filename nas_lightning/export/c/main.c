/* An example: runs the network on a few recordings of the data and compares with what it should give.
 * Returns how many are wrong. On a microcontroller take it as a self-test, and call the same functions. */
#include "model.h"
#include "vectors.h"
#ifdef WITH_FEATURES
#include "feature_extraction.h"
#endif
#ifdef WITH_STDIO
#include <stdio.h>
#endif

#ifdef MODEL_FLOAT
#define EXPECTED vectors_float
#define TOLERANCE 1e-4f
#else
#define EXPECTED vectors_int8
#define TOLERANCE 0.0f
#endif

static float logits[MODEL_OUTPUTS];

static float magnitude(float value)
{
    return value < 0.0f ? -value : value;
}

static int differs(const float *expected)
{
    float largest = 1.0f;
    int wrong = 0;
    for (int k = 0; k < MODEL_OUTPUTS; ++k) {
        largest = magnitude(expected[k]) > largest ? magnitude(expected[k]) : largest;
    }
    for (int k = 0; k < MODEL_OUTPUTS; ++k) {
        wrong |= !(magnitude(logits[k] - expected[k]) <= TOLERANCE * largest);
    }
    return wrong;
}

int main(void)
{
    int wrong = 0;
    for (int i = 0; i < VECTORS; ++i) {
#ifdef WITH_FEATURES
        /* Its last bits depend on the mathematical library, so the network is checked on the features of the file. */
        static float features[MODEL_CHANNELS * MODEL_STEPS];
        feature_extraction_run(vectors_rows[i], features);
#endif
        model_run(vectors_input[i], logits);
        wrong += differs(EXPECTED[i]);
#ifdef WITH_STDIO
        @EXAMPLE@
#endif
    }
#ifdef WITH_STDIO
    printf("%d of %d as expected\n", VECTORS - wrong, VECTORS);
#endif
    return wrong;
}
