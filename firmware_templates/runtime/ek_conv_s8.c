#include "ek_conv_s8.h"

#include <stddef.h>

#include "ek_fixed.h"
#include "ek_mem.h"

/* One group's channels of the window whose first tap is (row, column), in the order of the weights. */
static void gather(const ek_conv *p, const int8_t *input, int32_t row, int32_t column,
                   int32_t depth, int8_t *window) {
  for (int32_t i = 0; i < p->kernel_height; i++) {
    const int32_t y = row + i * p->dilation_height;
    for (int32_t j = 0; j < p->kernel_width; j++) {
      const int32_t x = column + j * p->dilation_width;
      if (y < 0 || y >= p->input_height || x < 0 || x >= p->input_width) {
        memset(window, p->input_zero_point, (size_t)depth);
      } else {
        memcpy(window, input + (y * p->input_width + x) * p->input_channels, (size_t)depth);
      }
      window += depth;
    }
  }
}

static int8_t finish(const ek_conv *p, int32_t channel, int32_t sum) {
  const int32_t scaled = ek_rescale(ek_add_wrapping(sum, p->bias[channel]),
                                    p->multipliers[channel], p->shifts[channel]);
  return (int8_t)ek_clamp(ek_add_wrapping(scaled, p->output_zero_point), p->output_min,
                          p->output_max);
}

/* Channels first to last of two pixels; taps is the length of a window. */
static void two_pixels(const ek_conv *p, const int8_t *a, const int8_t *b, int32_t taps,
                       int32_t first, int32_t last, int8_t *out_a, int8_t *out_b) {
  const int8_t *weights = p->weights + first * taps;
  for (int32_t channel = first; channel < last; channel++) {
    int32_t sum_a = 0, sum_b = 0;
    for (int32_t i = 0; i < taps; i++) {
      sum_a += weights[i] * a[i];
      sum_b += weights[i] * b[i];
    }
    weights += taps;
    out_a[channel] = finish(p, channel, sum_a);
    out_b[channel] = finish(p, channel, sum_b);
  }
}

void ek_conv_s8(const ek_conv *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t depth = p->input_channels / p->groups;
  const int32_t taps = p->kernel_height * p->kernel_width * depth;
  const int32_t channels = p->output_channels / p->groups;
  const int32_t pixels = p->output_height * p->output_width;
  int8_t *const windows_at = scratch;
  for (int32_t n = 0; n < p->batches; n++) {
    for (int32_t group = 0; group < p->groups; group++) {
      for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
        const int8_t *windows[2];
        int32_t at[2] = {pixel, pixel + 1 < pixels ? pixel + 1 : pixel};
        for (int32_t k = 0; k < 2; k++) {
          const int32_t row = at[k] / p->output_width, column = at[k] % p->output_width;
          if (scratch == NULL) {
            windows[k] = input + at[k] * p->input_channels + group * depth;
          } else {
            gather(p, input + group * depth, row * p->stride_height - p->pad_top,
                   column * p->stride_width - p->pad_left, depth, windows_at + k * taps);
            windows[k] = windows_at + k * taps;
          }
        }
        two_pixels(p, windows[0], windows[1], taps, group * channels, (group + 1) * channels,
                   output + at[0] * p->output_channels, output + at[1] * p->output_channels);
      }
    }
    input += p->input_height * p->input_width * p->input_channels;
    output += pixels * p->output_channels;
  }
}
