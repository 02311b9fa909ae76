/*
 * Feature extraction: from raw rows to the input of the network.
 *
 * @STEPS@
 */
#ifndef FEATURE_EXTRACTION_H
#define FEATURE_EXTRACTION_H

#ifdef __cplusplus
extern "C" {
#endif

#define FEATURE_EXTRACTION_CHANNELS @CHANNELS@
#define FEATURE_EXTRACTION_ROWS @ROWS@
#define FEATURE_EXTRACTION_FEATURES @FEATURES@ /* @SHAPE@ */

/*
 * rows: FEATURE_EXTRACTION_CHANNELS x FEATURE_EXTRACTION_ROWS raw values, channel by channel.
 * features: FEATURE_EXTRACTION_FEATURES values, channel by channel of the network's input.
 *
 * Calls must not overlap, because the memory it works in is static. Compile it with -std=c99 or -ffp-contract=off: a
 * multiplication and addition in one instruction would round differently from the front end that was trained with.
 */
void feature_extraction_run(const float *rows, float *features);

#ifdef __cplusplus
}
#endif

#endif
