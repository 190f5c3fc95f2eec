/* DEPTHWISE_CONV_2D 3x3, int8, for cores with 16-bit products: four channels at a time. */
#ifndef EK_DEPTHWISE_DSP_H_
#define EK_DEPTHWISE_DSP_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',C), C a multiple of 4. What lies outside the image reads
 * input_zero_point.
 *
 * weights, for each four channels: four biases, times 2^k; for each row of the window and its columns
 * 1, 2 and 0 two words of halfwords w * 2^k, those of channels 0 and 2, and of 1 and 3; multiplier and
 * offset of each channel; the four shifts. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t input_zero_point;
  const int32_t *weights;
} ek_depthwise_packed;

/* scratch: one window, 9 * C bytes. */
void ek_depthwise_dsp(const ek_depthwise_packed *p, const int8_t *input, int8_t *output,
                      void *scratch);

#endif
