/* model.h: @WHAT@, int8 (model.c) or float (model_float.c); link one of them.
 * nas_lightning @VERSION@, network @IDENTITY@ */
#ifndef MODEL_H
#define MODEL_H

@SIZES@
@NAMES@

@ROWS@
@NUMBERS@

#ifdef __cplusplus
extern "C" {
#endif

/* x: @X@
 * logits: @COUNT@ values; @RESULT@. Not to be called again before it returns: it works in one
 * static arena, and takes no memory from a heap. */
void model_run(const float *x, float *logits);

#ifdef __cplusplus
}
#endif
#endif
