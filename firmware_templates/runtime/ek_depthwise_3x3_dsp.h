/* DEPTHWISE_CONV_2D 3x3 at stride 1, int8, for cores with pairs of 16-bit products: strips. */
#ifndef EK_DEPTHWISE_3X3_DSP_H_
#define EK_DEPTHWISE_3X3_DSP_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',C), C a multiple of 4, H' and W' at least 2. What lies outside the
 * image, at most a row and a column on each side, reads input_zero_point; no strip of four columns has
 * one on both.
 *
 * weights, for each channel: multiplier, offset, shift, bias; (w00, w02), (w10, w12), (w20, w22),
 * (w01, w11), (w21, 0) as halfwords, bias and weights times 2^k. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width;
  int32_t pad_top, pad_left;
  int32_t input_zero_point;
  int32_t rounds_twice; /* else one step */
  const int32_t *weights;
} ek_depthwise_3x3;

/* scratch: two strips, 64 * (H' + 2) bytes. The output may be the input where their shapes are the
 * same. */
void ek_depthwise_3x3_dsp(const ek_depthwise_3x3 *p, const int8_t *input, int8_t *output,
                          void *scratch);

#endif
