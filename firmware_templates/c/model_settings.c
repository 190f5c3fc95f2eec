/* {{ name }}: tables behind model_settings.h. Written by edgekit {{ version }}. */
#include "model_settings.h"
{% if p and table is none %}

const float ek_model_mean[EK_MODEL_CHANNELS] = {
{{ mean | c_numbers }}};
const float ek_model_deviation[EK_MODEL_CHANNELS] = {
{{ deviation | c_numbers }}};
{% elif p %}

const {{ inputs[0].c_type }} ek_model_pixels[EK_MODEL_CHANNELS][256] = {
{% for row in table %}
    {
{{ row | c_numbers }}    },
{% endfor %}
};
{% endif %}
{% if has_classes %}

const char *const ek_model_labels[EK_MODEL_CLASSES] = {
{% for label in labels %}
    {{ label | c_string }},
{% endfor %}
};
{% endif %}
