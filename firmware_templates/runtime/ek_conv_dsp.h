/* CONV_2D, int8, for cores with pairs of 16-bit products. */
#ifndef EK_CONV_DSP_H_
#define EK_CONV_DSP_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',O), O even. What lies outside the image reads input_zero_point.
 * A window's kH*kW*C values are padded to 4 * steps.
 *
 * weights, for each pair of channels: two biases; steps times a word of the first and a word of the
 * second, each of them two halfwords 256 * w[2i] - w[2i + 1]; then multiplier, offset and shift of the
 * first, and of the second. A bias is 256 times the layer's less 129 * (w[1] + w[3] + ...). */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t steps;
  int32_t is_direct; /* 1x1 at stride 1, no padding, C = 4 * steps: windows lie ready in the input */
  int32_t input_zero_point;
  const int32_t *weights;
} ek_conv_packed;

/* scratch: the panel of four windows (32 bytes a step); unless is_direct, also the four windows as
 * they are gathered (16 bytes a step). */
void ek_conv_dsp(const ek_conv_packed *p, const int8_t *input, int8_t *output, void *scratch);

#endif
