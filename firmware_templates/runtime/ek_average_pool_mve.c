#include "ek_average_pool_mve.h"

#include "ek_vector.h"

#define CHANNELS 8 /* at a time */

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

static int32x4_t finish(const ek_pool_vectors *p, int32x4_t sums) {
  if (p->rounds_away) sums = vaddq_m_n_s32(sums, sums, -1, vcmpltq_n_s32(sums, 0));
  sums = vaddq_n_s32(vmulq_n_s32(sums, p->factor), p->offset);
  return vshrq_n_s32(vqshlq_r_s32(sums, p->shift), 24);
}

/* Eight channels of one window, which begins at x. */
static void window(const ek_pool_vectors *p, const int8_t *x, int8_t *output) {
  const int32_t depth = p->input_channels;
  const int32_t next = (p->input_width - p->kernel_width) * depth;
  int16x8_t sums = vdupq_n_s16(0);
  for (int32_t i = p->kernel_height; i > 0; i--, x += next) {
    for (int32_t j = p->kernel_width; j > 0; j--, x += depth) {
      sums = vaddq_s16(sums, vldrbq_s16(x));
    }
  }
  const int16x8_t even = vmovnbq_s32(sums, finish(p, vmovlbq_s16(sums)));
  vstrbq_s16(output, vmovntq_s32(even, finish(p, vmovltq_s16(sums))));
}

#else

/* Eight channels of one window, which begins at x. */
static void window(const ek_pool_vectors *p, const int8_t *x, int8_t *output) {
  const int32_t depth = p->input_channels;
  for (int32_t c = 0; c < CHANNELS; c++) {
    int32_t sum = 0;
    for (int32_t i = 0; i < p->kernel_height; i++) {
      for (int32_t j = 0; j < p->kernel_width; j++) sum += x[(i * p->input_width + j) * depth + c];
    }
    if (p->rounds_away && sum < 0) sum--;
    output[c] = (int8_t)(ek_saturating_shift(sum * p->factor + p->offset, p->shift) >> 24);
  }
}

#endif

void ek_average_pool_mve(const ek_pool_vectors *p, const int8_t *input, int8_t *output) {
  const int32_t depth = p->input_channels, row = p->input_width * depth;
  for (int32_t n = 0; n < p->batches; n++, input += p->input_height * row) {
    for (int32_t y = 0; y < p->output_height; y++) {
      for (int32_t x = 0; x < p->output_width; x++, output += depth) {
        const int8_t *from = input + y * p->stride_height * row + x * p->stride_width * depth;
        for (int32_t c = 0; c < depth; c += CHANNELS) window(p, from + c, output + c);
      }
    }
  }
}
