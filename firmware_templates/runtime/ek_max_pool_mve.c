#include "ek_max_pool_mve.h"

#include "ek_vector.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

/* `count` channels, at most 16, of a window of rows x columns values that begins at x. */
static void window(const ek_pool *p, const int8_t *x, int32_t rows, int32_t columns, int32_t count,
                   int8_t *output) {
  const int32_t depth = p->input_channels, next = (p->input_width - columns) * depth;
  const mve_pred16_t channels = vctp8q((uint32_t)count);
  int8x16_t largest = vdupq_n_s8((int8_t)p->output_min);
  for (int32_t i = rows; i > 0; i--, x += next) {
    for (int32_t j = columns; j > 0; j--, x += depth) {
      largest = vmaxq_s8(largest, vldrbq_z_s8(x, channels));
    }
  }
  vstrbq_p_s8(output, vminq_s8(largest, vdupq_n_s8((int8_t)p->output_max)), channels);
}

#else

/* `count` channels, at most 16, of a window of rows x columns values that begins at x. */
static void window(const ek_pool *p, const int8_t *x, int32_t rows, int32_t columns, int32_t count,
                   int8_t *output) {
  for (int32_t c = 0; c < count; c++) {
    int32_t largest = p->output_min;
    for (int32_t i = 0; i < rows; i++) {
      for (int32_t j = 0; j < columns; j++) {
        const int32_t value = x[(i * p->input_width + j) * p->input_channels + c];
        if (value > largest) largest = value;
      }
    }
    output[c] = (int8_t)(largest < p->output_max ? largest : p->output_max);
  }
}

#endif

void ek_max_pool_mve(const ek_pool *p, const int8_t *input, int8_t *output) {
  const int32_t depth = p->input_channels, row = p->input_width * depth;
  for (int32_t n = 0; n < p->batches; n++, input += p->input_height * row) {
    for (int32_t y = 0; y < p->output_height; y++) {
      int32_t top, bottom;
      ek_pool_inside(y * p->stride_height - p->pad_top, p->kernel_height, p->input_height, &top,
                     &bottom);
      for (int32_t x = 0; x < p->output_width; x++, output += depth) {
        int32_t left, right;
        ek_pool_inside(x * p->stride_width - p->pad_left, p->kernel_width, p->input_width, &left,
                       &right);
        for (int32_t c = 0; c < depth; c += EK_VECTOR) {
          window(p, input + top * row + left * depth + c, bottom - top, right - left,
                 depth - c < EK_VECTOR ? depth - c : EK_VECTOR, output + c);
        }
      }
    }
  }
}
