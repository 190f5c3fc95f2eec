#include "ek_average_pool_dsp.h"

#include "ek_fixed.h"
#include "ek_four_sums.h"

/* sum / count, ties away from zero. */
static int32_t mean(int32_t sum, int32_t count) {
  return sum >= 0 ? (sum + count / 2) / count : -((-sum + count / 2) / count);
}

/* All channels of a window of rows by columns that lies inside; the last four may overlap. */
static void average(const ek_pool *p, const int8_t *window, int32_t rows, int32_t columns,
                    int8_t *output) {
  const int32_t channels = p->input_channels, line = p->input_width * channels;
  const int32_t count = rows * columns;
  for (int32_t c = 0; c < channels; c += 4) {
    const int32_t first = c + 4 <= channels ? c : channels - 4;
    const int8_t *x = window + first;
    ek_four_sums sums = {0, 0};
    for (int32_t i = 0; i < rows; i++, x += line) sums = ek_add_pixels(sums, x, channels, columns);
    for (int32_t k = 0; k < 4; k++) {
      const int32_t value = mean(ek_sum_of(sums, k) + p->offset * count, count) - p->offset;
      output[first + k] = (int8_t)ek_clamp(value, p->output_min, p->output_max);
    }
  }
}

void ek_average_pool_dsp(const ek_pool *p, const int8_t *input, int8_t *output) {
  const int32_t channels = p->input_channels, line = p->input_width * channels;
  for (int32_t n = 0; n < p->batches; n++, input += p->input_height * line) {
    for (int32_t y = 0; y < p->output_height; y++) {
      int32_t top, bottom;
      ek_pool_inside(y * p->stride_height - p->pad_top, p->kernel_height, p->input_height, &top,
                     &bottom);
      for (int32_t x = 0; x < p->output_width; x++, output += channels) {
        int32_t left, right;
        ek_pool_inside(x * p->stride_width - p->pad_left, p->kernel_width, p->input_width, &left,
                       &right);
        average(p, input + top * line + left * channels, bottom - top, right - left, output);
      }
    }
  }
}
