// {{ name }}: sizes{{ ", quantization" if has_scales }}{{ ", preprocessing" if p }}{{ " and labels" if has_classes }}. Written by edgekit {{ version }}.
#ifndef EDGEKIT_MODEL_SETTINGS_H_
#define EDGEKIT_MODEL_SETTINGS_H_

#include <stdint.h>

// Predicted for {{ board.name }} with TFLM's {{ kernels }} kernels: {{ arena.activations_bytes }} bytes of
// activations and scratch, the rest for the interpreter's structures. Other kernel libraries may
// need more; main prints what is used.
constexpr int kArenaBytes = {{ arena.arena_bytes }};

{% for end in inputs + outputs %}
// {{ end.side }} {{ end.index }}, {{ end.name }}: {{ end.dtype }} {{ end.shape }}{{ ", real value = scale * (value - zero point)" if end.quantization }}.
constexpr int k{{ end.id }}Elements = {{ end.elements }};
{% if end.quantization %}
constexpr float k{{ end.id }}Scale = {{ end.quantization.scale }}f;
constexpr int k{{ end.id }}ZeroPoint = {{ end.quantization.zero_point }};
{% endif %}

{% endfor %}
{% if p %}
// The input holds rows of pixels, {{ p.color }}, of a picture {{ "stretched" if p.resize == "stretch" else "cut" }} to this size.
constexpr int kInputHeight = {{ p.height }};
constexpr int kInputWidth = {{ p.width }};
constexpr int kInputChannels = {{ p.channels }};

{% if table is none %}
// What becomes of an 8-bit pixel value.
constexpr float kMean[kInputChannels] = {
{{ mean | c_numbers }}};
constexpr float kDeviation[kInputChannels] = {
{{ deviation | c_numbers }}};

constexpr float NormalizePixel(int channel, uint8_t value) {
  return (static_cast<float>(value) - kMean[channel]) / kDeviation[channel];
}
{% else %}
// The network's input for each 8-bit pixel value of each channel: mean, deviation, scale and zero
// point in one look-up.
constexpr {{ inputs[0].c_type }} kInputTable[kInputChannels][256] = {
{% for row in table %}
    {
{{ row | c_numbers }}    },
{% endfor %}
};

constexpr {{ inputs[0].c_type }} QuantizePixel(int channel, uint8_t value) {
  return kInputTable[channel][value];
}
{% endif %}

{% endif %}
{% if has_classes %}
// {{ outputs[0].side }} {{ outputs[0].index }} holds one score a class.
constexpr int kClasses = k{{ outputs[0].id }}Elements;
constexpr const char* kLabels[kClasses] = {
{% for label in labels %}
    {{ label | c_string }},
{% endfor %}
};

{% endif %}
#endif  // EDGEKIT_MODEL_SETTINGS_H_
