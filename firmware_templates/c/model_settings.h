/* {{ name }}: {{ "how pictures become inputs, " if p }}{{ "labels, " if has_classes }}and whether it fits the board.
 * Written by edgekit {{ version }}. */
#ifndef MODEL_SETTINGS_H_
#define MODEL_SETTINGS_H_

#include <stdint.h>

#include "board.h"
#include "model.h"

_Static_assert(EK_MODEL_ARENA_BYTES + EK_STACK_BYTES <= EK_RAM_BYTES,
               "arena and stack do not fit the RAM of {{ board.name | plain }}");
_Static_assert(EK_MODEL_WEIGHTS_BYTES <= EK_FLASH_BYTES,
               "the weights do not fit the flash of {{ board.name | plain }}");
{% if p %}

/* The input holds rows of pixels, {{ p.color }}, of a picture {{ "stretched" if p.resize == "stretch" else "cut" }} to this size. */
#define EK_MODEL_HEIGHT {{ p.height }}
#define EK_MODEL_WIDTH {{ p.width }}
#define EK_MODEL_CHANNELS {{ p.channels }}

{% if table is none %}
/* What becomes of an 8-bit pixel value. */
extern const float ek_model_mean[EK_MODEL_CHANNELS], ek_model_deviation[EK_MODEL_CHANNELS];

static inline float ek_model_pixel(int channel, uint8_t value) {
  return ((float)value - ek_model_mean[channel]) / ek_model_deviation[channel];
}
{% else %}
/* The network's input for each 8-bit pixel value of each channel: mean, deviation, scale and zero
 * point in one look-up. */
extern const {{ inputs[0].c_type }} ek_model_pixels[EK_MODEL_CHANNELS][256];

static inline {{ inputs[0].c_type }} ek_model_pixel(int channel, uint8_t value) {
  return ek_model_pixels[channel][value];
}
{% endif %}
{% endif %}
{% if has_classes %}

/* {{ "The output" if outputs | length == 1 else "Output 0" }} holds one score a class. */
#define EK_MODEL_CLASSES {{ outputs[0].elements }}
extern const char *const ek_model_labels[EK_MODEL_CLASSES];
{% endif %}

#endif
