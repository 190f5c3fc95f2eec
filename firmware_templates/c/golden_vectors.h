/* {{ name }}: inputs and the outputs that the network must give. Written by edgekit {{ version }}. */
#ifndef GOLDEN_VECTORS_H_
#define GOLDEN_VECTORS_H_

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

/* {{ "All" if golden_count == golden_total else "The first " ~ golden_count }} of the {{ golden_total }} vectors in golden/. */
#define EK_GOLDEN_COUNT {{ golden_count }}

{% for end in inputs + outputs %}
extern const {{ end.c_type }} ek_golden_{{ end.id | lower }}[EK_GOLDEN_COUNT][EK_MODEL_{{ end.id | upper }}_ELEMENTS];
{% endfor %}

#endif
