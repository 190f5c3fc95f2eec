// {{ name }}: sizes, quantization, preprocessing and labels. Written by edgekit {{ version }}.
#ifndef EDGEKIT_MODEL_SETTINGS_H_
#define EDGEKIT_MODEL_SETTINGS_H_

#include <stdint.h>

// Predicted for {{ board.name }} with TFLM's {{ kernels }} kernels: {{ arena.activations_bytes }} bytes of
// activations and scratch, the rest for the interpreter's structures. Other kernel libraries may
// need more; main prints what is used.
constexpr int kArenaBytes = {{ arena.arena_bytes }};

// Input: int8, rows of pixels, {{ p.color }}.
constexpr int kInputHeight = {{ p.height }};
constexpr int kInputWidth = {{ p.width }};
constexpr int kInputChannels = {{ p.channels }};
constexpr int kInputBytes = kInputHeight * kInputWidth * kInputChannels;
constexpr float kInputScale = {{ p.input_scale }}f;
constexpr int kInputZeroPoint = {{ p.input_zero_point }};

// Output: one int8 score a class; score = kOutputScale * (value - kOutputZeroPoint).
constexpr int kClasses = {{ labels | length }};
constexpr float kOutputScale = {{ output_scale }}f;
constexpr int kOutputZeroPoint = {{ output_zero_point }};

// The network's input for each 8-bit pixel value of each channel: mean, deviation, scale and zero
// point in one look-up. The picture is {{ "stretched" if p.resize == "stretch" else "cut" }} to {{ p.width }}x{{ p.height }} before.
constexpr int8_t kInputTable[kInputChannels][256] = {
{% for row in table %}
    {
{{ row | c_integers }}    },
{% endfor %}
};

constexpr int8_t QuantizePixel(int channel, uint8_t value) {
  return kInputTable[channel][value];
}

constexpr const char* kLabels[kClasses] = {
{% for label in labels %}
    {{ label | c_string }},
{% endfor %}
};

#endif  // EDGEKIT_MODEL_SETTINGS_H_
