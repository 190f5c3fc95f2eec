#include "ek_depthwise_s8.h"

#include "ek_fixed.h"

/* One window: the tap (i, j) reads input[i * row + j * column + channel]; taps first_* to last_* lie
 * inside the image. */
typedef struct {
  const int8_t *input;
  int32_t row, column;
  int32_t first_row, last_row, first_column, last_column;
} window;

/* Taps of one axis that lie inside: the first, and one past the last. */
static void inside(int32_t start, int32_t taps, int32_t dilation, int32_t size, int32_t *first,
                   int32_t *last) {
  *first = 0;
  while (*first < taps && start + *first * dilation < 0) ++*first;
  *last = taps;
  while (*last > *first && start + (*last - 1) * dilation >= size) --*last;
}

static int32_t sum_inside(const ek_depthwise *p, const window *w, int32_t from, int32_t to) {
  const int32_t channels = p->input_channels * p->multiplier;
  int32_t sum = 0;
  for (int32_t i = w->first_row; i < w->last_row; i++) {
    const int8_t *x = w->input + i * w->row + w->first_column * w->column + from;
    const int8_t *weight = p->weights + (i * p->kernel_width + w->first_column) * channels + to;
    for (int32_t j = w->first_column; j < w->last_column; j++) {
      sum += *x * *weight;
      x += w->column;
      weight += channels;
    }
  }
  return sum;
}

/* The taps outside the image: all weights there times the zero point. */
static int32_t sum_outside(const ek_depthwise *p, const window *w, int32_t to) {
  const int32_t channels = p->input_channels * p->multiplier;
  const int8_t *weight = p->weights + to;
  int32_t sum = 0;
  for (int32_t i = 0; i < p->kernel_height; i++) {
    for (int32_t j = 0; j < p->kernel_width; j++) {
      if (i < w->first_row || i >= w->last_row || j < w->first_column || j >= w->last_column) {
        sum += *weight;
      }
      weight += channels;
    }
  }
  return sum * p->input_zero_point;
}

static void pixel(const ek_depthwise *p, const window *w, int is_whole, int8_t *output) {
  int32_t to = 0;
  for (int32_t from = 0; from < p->input_channels; from++) {
    for (int32_t k = 0; k < p->multiplier; k++, to++) {
      int32_t sum = p->bias[to];
      sum = ek_add_wrapping(sum, sum_inside(p, w, from, to));
      if (!is_whole) sum = ek_add_wrapping(sum, sum_outside(p, w, to));
      const int32_t scaled = ek_rescale(sum, p->multipliers[to], p->shifts[to]);
      output[to] = (int8_t)ek_clamp(ek_add_wrapping(scaled, p->output_zero_point), p->output_min,
                                    p->output_max);
    }
  }
}

void ek_depthwise_s8(const ek_depthwise *p, const int8_t *input, int8_t *output) {
  const int32_t row = p->input_width * p->input_channels;
  window w = {.row = p->dilation_height * row,
              .column = p->dilation_width * p->input_channels};
  for (int32_t n = 0; n < p->batches; n++) {
    for (int32_t y = 0; y < p->output_height; y++) {
      const int32_t top = y * p->stride_height - p->pad_top;
      inside(top, p->kernel_height, p->dilation_height, p->input_height, &w.first_row,
             &w.last_row);
      for (int32_t x = 0; x < p->output_width; x++) {
        const int32_t left = x * p->stride_width - p->pad_left;
        inside(left, p->kernel_width, p->dilation_width, p->input_width, &w.first_column,
               &w.last_column);
        w.input = input + top * row + left * p->input_channels;
        const int is_whole = w.first_row == 0 && w.last_row == p->kernel_height &&
                             w.first_column == 0 && w.last_column == p->kernel_width;
        pixel(p, &w, is_whole, output);
        output += p->input_channels * p->multiplier;
      }
    }
    input += p->input_height * row;
  }
}
