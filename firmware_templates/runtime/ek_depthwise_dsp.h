/* DEPTHWISE_CONV_2D, int8, for cores with 16-bit products: four channels at a time. */
#ifndef EK_DEPTHWISE_DSP_H_
#define EK_DEPTHWISE_DSP_H_

#include <stdint.h>

/* Input (N,H,W,C), C at least 4, output (N,H',W',C*multiplier). What lies outside the image reads
 * input_zero_point.
 *
 * weights, for each copy of the input's channels and each four of these (the last four overlap those
 * before where C is no multiple of 4): four biases, times 2^k; for each tap two words of halfwords
 * w * 2^k, those of channels 0 and 2, and of 1 and 3; multiplier and offset of each channel; the four
 * shifts. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t multiplier;
  int32_t input_zero_point;
  int32_t rounds_twice; /* else one step */
  const int32_t *weights;
} ek_depthwise_packed;

/* scratch: one window, kernel_height * kernel_width * C bytes. */
void ek_depthwise_dsp(const ek_depthwise_packed *p, const int8_t *input, int8_t *output,
                      void *scratch);

#endif
