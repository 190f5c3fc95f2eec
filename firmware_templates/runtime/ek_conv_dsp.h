/* CONV_2D, int8, for cores with pairs of 16-bit products. */
#ifndef EK_CONV_DSP_H_
#define EK_CONV_DSP_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',O), O / groups at least 2. What lies outside the image reads
 * input_zero_point. A window's kH*kW*(C / groups) values are padded to 4 * steps.
 *
 * weights, for each group, for each pair of its channels: two biases; steps times a word of the first
 * and a word of the second, each of them two halfwords 256 * w[2i] - w[2i + 1]; requantization; then
 * EK_CONV_NEXT, or EK_CONV_LAST after the last pair. A bias is 256 times the layer's less
 * 129 * (w[1] + w[3] + ...). Of an odd number of channels the last pair is on its own: the last two
 * channels, the first of them for the second time.
 *
 * Requantization is, where `shift` is 11 to 14, multiplier and offset of the first channel and of the
 * second; where it is 0, multiplier, offset, jump (added to negative sums) and shift of each. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t pad_top, pad_left;
  int32_t groups;
  int32_t steps;
  int32_t shift;
  int32_t input_zero_point;
  const int32_t *weights;
} ek_conv_packed;

#define EK_CONV_NEXT 3
#define EK_CONV_LAST 4

/* scratch: the panel of three windows (24 bytes a step), then three windows as they are gathered (12
 * bytes a step); those are not touched by 1x1 without padding whose C / groups is 4 * steps. */
void ek_conv_dsp(const ek_conv_packed *p, const int8_t *input, int8_t *output, void *scratch);

#endif
