#include "ek_conv_s8.h"

#include <stddef.h>

#include "ek_fixed.h"
#include "ek_mem.h"
#include "ek_products.h"

/* The windows of two pixels, `taps` long, whose output channels `first` to `last` are computed. */
typedef struct {
  const int8_t *a, *b;
  int32_t taps, first, last;
} pair;

/* Row i of the window whose first column is `left`: kernel_width times `depth` channels. */
static void gather_row(const ek_conv *p, const int8_t *row, int32_t left, int32_t depth,
                       int8_t *window) {
  if (p->dilation_width == 1 && p->groups == 1 && left >= 0 &&
      left + p->kernel_width <= p->input_width) {
    memcpy(window, row + left * depth, (size_t)(p->kernel_width * depth));
    return;
  }
  for (int32_t j = 0; j < p->kernel_width; j++, window += depth) {
    const int32_t x = left + j * p->dilation_width;
    if (x < 0 || x >= p->input_width) {
      memset(window, p->input_zero_point, (size_t)depth);
    } else {
      memcpy(window, row + x * p->input_channels, (size_t)depth);
    }
  }
}

/* One group's channels of the window at (y, x) of the output, in the order of the weights. */
static void gather(const ek_conv *p, const int8_t *input, int32_t y, int32_t x, int8_t *window) {
  const int32_t depth = p->input_channels / p->groups;
  const int32_t top = y * p->stride_height - p->pad_top;
  for (int32_t i = 0; i < p->kernel_height; i++, window += p->kernel_width * depth) {
    const int32_t row = top + i * p->dilation_height;
    if (row < 0 || row >= p->input_height) {
      memset(window, p->input_zero_point, (size_t)(p->kernel_width * depth));
    } else {
      gather_row(p, input + row * p->input_width * p->input_channels,
                 x * p->stride_width - p->pad_left, depth, window);
    }
  }
}

/* What a zero point of the weights takes off every sum of a window. */
static int32_t offset(const ek_conv *p, const int8_t *window, int32_t taps) {
  return p->weight_zero_point ? -p->weight_zero_point * ek_sum(window, taps) : 0;
}

/* One channel of both pixels. */
static inline void finish(const ek_conv *p, int32_t channel, int32_t sum_a, int32_t sum_b,
                          int8_t *a, int8_t *b) {
  const int32_t bias = p->bias[channel], multiplier = p->multipliers[channel];
  const int32_t shift = p->shifts[channel];
  const int32_t zero_point = p->output_zero_point, low = p->output_min, high = p->output_max;
  const int32_t scaled_a = ek_rescale(ek_add_wrapping(sum_a, bias), multiplier, shift);
  const int32_t scaled_b = ek_rescale(ek_add_wrapping(sum_b, bias), multiplier, shift);
  a[channel] = (int8_t)ek_clamp(ek_add_wrapping(scaled_a, zero_point), low, high);
  b[channel] = (int8_t)ek_clamp(ek_add_wrapping(scaled_b, zero_point), low, high);
}

static void two_pixels(const ek_conv *p, const pair *w, int8_t *out_a, int8_t *out_b) {
  const int32_t offset_a = offset(p, w->a, w->taps), offset_b = offset(p, w->b, w->taps);
  const int8_t *weights = p->weights + w->first * w->taps;
  int32_t channel = w->first;
#ifndef EK_FEW_REGISTERS
  for (; channel + 2 <= w->last; channel += 2, weights += 2 * w->taps) {
    int32_t sums[2][2] = {{offset_a, offset_b}, {offset_a, offset_b}};
    ek_add_products_2x2(weights, weights + w->taps, w->a, w->b, w->taps, sums);
    finish(p, channel, sums[0][0], sums[0][1], out_a, out_b);
    finish(p, channel + 1, sums[1][0], sums[1][1], out_a, out_b);
  }
#endif
  for (; channel < w->last; channel++, weights += w->taps) {
    int32_t sums[2] = {offset_a, offset_b};
    ek_add_products_1x2(weights, w->a, w->b, w->taps, sums);
    finish(p, channel, sums[0], sums[1], out_a, out_b);
  }
}

/* All pixels of an image, two by two; of an odd number the last is computed twice. */
static void convolve(const ek_conv *p, const int8_t *input, pair *w, int8_t *output,
                     int8_t *windows) {
  const int32_t pixels = p->output_height * p->output_width;
  int32_t y = 0, x = 0;
  for (int32_t pixel = 0; pixel < pixels; pixel += 2, output += 2 * p->output_channels) {
    const int32_t last = pixel + 1 == pixels;
    if (windows == NULL) {
      w->a = input + pixel * p->input_channels;
      w->b = last ? w->a : w->a + p->input_channels;
    } else {
      for (int32_t k = 0; k < 2 - last; k++) {
        gather(p, input, y, x, windows + k * w->taps);
        if (++x == p->output_width) x = 0, y++;
      }
      w->a = windows;
      w->b = last ? windows : windows + w->taps;
    }
    two_pixels(p, w, output, last ? output : output + p->output_channels);
  }
}

void ek_conv_s8(const ek_conv *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t depth = p->input_channels / p->groups;
  const int32_t channels = p->output_channels / p->groups;
  for (int32_t n = 0; n < p->batches; n++) {
    for (int32_t group = 0; group < p->groups; group++) {
      pair w = {.taps = p->kernel_height * p->kernel_width * depth,
                .first = group * channels,
                .last = (group + 1) * channels};
      convolve(p, input + group * depth, &w, output, scratch);
    }
    input += p->input_height * p->input_width * p->input_channels;
    output += p->output_height * p->output_width * p->output_channels;
  }
}
