#include "ek_average_pool_s8.h"

#include "ek_fixed.h"

/* sum / count, ties away from zero. */
static int32_t mean(int32_t sum, int32_t count) {
  return sum >= 0 ? (sum + count / 2) / count : -((-sum + count / 2) / count);
}

void ek_average_pool_s8(const ek_pool *p, const int8_t *input, int8_t *output) {
  const int32_t channels = p->input_channels, row = p->input_width * channels;
  for (int32_t n = 0; n < p->batches; n++, input += p->input_height * row) {
    for (int32_t y = 0; y < p->output_height; y++) {
      int32_t top, bottom;
      ek_pool_inside(y * p->stride_height - p->pad_top, p->kernel_height, p->input_height, &top,
                     &bottom);
      for (int32_t x = 0; x < p->output_width; x++) {
        int32_t left, right;
        ek_pool_inside(x * p->stride_width - p->pad_left, p->kernel_width, p->input_width, &left,
                       &right);
        const int32_t count = (bottom - top) * (right - left);
        for (int32_t c = 0; c < channels; c++) {
          int32_t sum = 0;
          for (int32_t i = top; i < bottom; i++) {
            for (int32_t j = left; j < right; j++) sum += input[i * row + j * channels + c];
          }
          const int32_t value = mean(sum + p->offset * count, count) - p->offset;
          *output++ = (int8_t)ek_clamp(value, p->output_min, p->output_max);
        }
      }
    }
  }
}
