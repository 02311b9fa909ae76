/* decision.h: what is decided by the logits of model_run. Link decision.c beside model.c or model_float.c. */
#ifndef MODEL_DECISION_H
#define MODEL_DECISION_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* @DECIDE@ */
int model_decide(const float *logits);
@SCORE@@SMOOTHING@
#ifdef __cplusplus
}
#endif
#endif
