/* MEAN over height and width, int8, four channels at a time. */
#ifndef EK_MEAN_DSP_H_
#define EK_MEAN_DSP_H_

#include <stdint.h>

/* Input (N,pixels,C), C at least 4, output (N,C); the multiplier has 1/pixels in it. */
typedef struct {
  int32_t batches, pixels, channels;
  int32_t bias; /* -pixels * the input's zero point */
  int32_t multiplier, shift;
  int32_t output_zero_point;
} ek_mean_pixels;

void ek_mean_dsp(const ek_mean_pixels *p, const int8_t *input, int8_t *output);

#endif
