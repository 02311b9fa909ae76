"""The C of what is decided by logits: ``decision.h`` and ``decision.c``, where a run rejects or smooths."""

from nas_lightning.export.contract import InputDescription
from nas_lightning.export.texts import c_float, filled, with_prefix
from nas_lightning.tasks.decisions import LEAST_EXPONENT, LN2_FIRST, LN2_REST, LOG2_E, TAYLOR, Smoothing

FILES = ("decision.h", "decision.c")

_STATE = {
    "majority": "    int seen, votes[MODEL_SMOOTHING_WINDOWS];",
    "mean": "    int seen, next;\n    float shares[MODEL_SMOOTHING_WINDOWS][@COUNT@];",
    "hysteresis": "    int seen, held, other, run;",
}
_HOW = {
    "majority": "the most frequent of their classes, of equally frequent ones the latest",
    "mean": "the class of the largest mean of their scores",
    "hysteresis": "the class of before, until another one came MODEL_SMOOTHING_WINDOWS times in a row",
}
_SMOOTHING = """
/* The memory of one stream of windows. */
typedef struct {
@STATE@
} model_smoothing;

/* A recording begins: to be called before its first window. */
void model_smoothing_begin(model_smoothing *state);

/* What the last MODEL_SMOOTHING_WINDOWS windows decide, these logits being of the latest:
 * @HOW@. */
int model_smooth(model_smoothing *state, const float *logits);
"""
_SCORE = """
/* How sure the network is, from 0 to 1: the largest of the softmax of logits / MODEL_TEMPERATURE. */
float model_score(const float *logits);
"""
_SCORE_CODE = """\
float model_score(const float *logits)
{
    return 1.0f / powers(logits, 0);
}
"""
_DECIDE_CODE = """\
int model_decide(const float *logits)
{
    @BODY@
}
"""
_ALWAYS = "return best_of(logits);"
_THRESHOLD = "return model_score(logits) >= MODEL_THRESHOLD ? best_of(logits) : MODEL_UNKNOWN;"
_MEAN = "best"
_MEAN_THRESHOLD = "most / (float)state->seen >= MODEL_THRESHOLD ? best : MODEL_UNKNOWN"


def decision_sources(description: InputDescription, prefix: str = "") -> dict[str, str]:
    """The texts of ``FILES`` by name; none where the class of the largest logit is all that is decided.

    Args:
        description: with temperature, threshold and smoothing.
        prefix: before the names of the network.
    """
    decision, smoothing = description.decision, description.postprocess
    if not decision.has_code:
        return {}
    rejects, count = decision.threshold is not None, with_prefix(description.outputs.in_c.count, prefix)
    decide = "The class of the largest logit" + (", or MODEL_UNKNOWN where the score is too low." * rejects or ".")
    words = {
        "DECIDE": with_prefix(decide, prefix),
        "SCORE": with_prefix(_SCORE, prefix) if rejects else "",
        "SMOOTHING": with_prefix(_declared(smoothing), prefix).replace("@COUNT@", count) if smoothing else "",
    }
    texts = {"decision.h": filled("decision.h", words, prefix)}
    parts = [_score(count, prefix)] if rejects or (smoothing and smoothing.method == "mean") else []
    parts += [with_prefix(_SCORE_CODE, prefix)] if rejects else []
    parts += [with_prefix(_DECIDE_CODE.replace("@BODY@", _THRESHOLD if rejects else _ALWAYS), prefix)]
    if smoothing is not None:
        result = with_prefix(_MEAN_THRESHOLD if rejects else _MEAN, prefix)
        parts += [filled(f"decision_{smoothing.method}.c", {"COUNT": count, "RESULT": result}, prefix)]
    own = '#include "decision.h"'
    needs_bits = any("memcpy" in part for part in parts)
    words = {
        "VERSION": description.version,
        "IDENTITY": description.identity,
        "INCLUDES": "\n".join(["#include <float.h>", *["#include <stdint.h>\n#include <string.h>"] * needs_bits, own]),
        "COUNT": count,
        "PARTS": "\n" + "\n".join(parts).rstrip("\n"),
    }
    return texts | {"decision.c": filled("decision.c", words, prefix)}


def _declared(smoothing: Smoothing) -> str:
    return _SMOOTHING.replace("@STATE@", _STATE[smoothing.method]).replace("@HOW@", _HOW[smoothing.method])


def _score(count: str, prefix: str) -> str:
    terms = [f"    value = value * r + {c_float(coefficient)};" for coefficient in TAYLOR[1:]]
    constants = {"LEAST": LEAST_EXPONENT, "LOG2_E": LOG2_E, "LN2_FIRST": LN2_FIRST, "LN2_REST": LN2_REST}
    words = {name: c_float(value) for name, value in constants.items()}
    return filled(
        "decision_score.c", words | {"FIRST": c_float(TAYLOR[0]), "TERMS": "\n".join(terms), "COUNT": count}, prefix
    )
