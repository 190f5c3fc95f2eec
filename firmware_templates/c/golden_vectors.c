/* {{ name }}: the golden vectors. Written by edgekit {{ version }}. */
#include "golden_vectors.h"
{% if has_floats %}

/* As in <math.h>, which a compiler without a C library lacks. */
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
{% endif %}
{% for end in inputs + outputs %}

const {{ end.c_type }} ek_golden_{{ end.id | lower }}[EK_GOLDEN_COUNT][EK_MODEL_{{ end.id | upper }}_ELEMENTS] = {
{% for vector in end.golden %}
    {
{{ vector | c_numbers }}    },
{% endfor %}
};
{% endfor %}
