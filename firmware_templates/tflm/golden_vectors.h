// {{ name }}: inputs and the outputs that the network must give. Written by edgekit {{ version }}.
#ifndef EDGEKIT_GOLDEN_VECTORS_H_
#define EDGEKIT_GOLDEN_VECTORS_H_

{% if has_floats %}
#include <math.h>
{% endif %}
#include <stdint.h>

#include "model_settings.h"

// {{ "All" if golden_count == golden_total else "The first " ~ golden_count }} of the {{ golden_total }} vectors in golden/.
constexpr int kGoldenCount = {{ golden_count }};

{% for end in inputs + outputs %}
constexpr {{ end.c_type }} kGolden{{ end.id }}[kGoldenCount][k{{ end.id }}Elements] = {
{% for vector in end.golden %}
    {
{{ vector | c_numbers }}    },
{% endfor %}
};

{% endfor %}
{% for end in outputs if end.tolerance is not none %}
// How far floats may be off, as C libraries differ in the last digits.
constexpr float k{{ end.id }}Tolerance = {{ end.tolerance }}f;

{% endfor %}
#endif  // EDGEKIT_GOLDEN_VECTORS_H_
