/* {{ name }}: the golden vectors. Written by edgekit {{ version }}. */
#include "golden_vectors.h"
{% if has_floats %}

#include <math.h>
{% endif %}
{% for end in inputs + outputs %}

const {{ end.c_type }} ek_golden_{{ end.id | lower }}[EK_GOLDEN_COUNT][EK_MODEL_{{ end.id | upper }}_ELEMENTS] = {
{% for vector in end.golden %}
    {
{{ vector | c_numbers }}    },
{% endfor %}
};
{% endfor %}
