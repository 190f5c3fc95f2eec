// {{ name }}: inputs and the outputs that the network must give. Written by edgekit {{ version }}.
#ifndef EDGEKIT_GOLDEN_VECTORS_H_
#define EDGEKIT_GOLDEN_VECTORS_H_

#include <stdint.h>

#include "model_settings.h"

constexpr int kGoldenCount = {{ golden | length }};

constexpr int8_t kGoldenInputs[kGoldenCount][kInputBytes] = {
{% for vector in golden.inputs[0] %}
    {
{{ vector | c_integers }}    },
{% endfor %}
};

constexpr int8_t kGoldenOutputs[kGoldenCount][kClasses] = {
{% for vector in golden.outputs[0] %}
    {
{{ vector | c_integers }}    },
{% endfor %}
};

#endif  // EDGEKIT_GOLDEN_VECTORS_H_
