/* DEPTHWISE_CONV_2D, int8, any channel multiplier. */
#ifndef EK_DEPTHWISE_S8_H_
#define EK_DEPTHWISE_S8_H_

#include <stdint.h>

/* Input (N,H,W,C), weights (kH,kW,C*M), output (N,H',W',C*M): output channel c reads input channel
 * c / M. What lies outside the image reads input_zero_point, whose share of every sum is already
 * taken off the bias. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, multiplier;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t pad_top, pad_left;
  const int8_t *weights;
  int32_t weight_zero_point;  /* 0 but for models that were uint8 */
  const int32_t *bias;        /* (C*M,) */
  const int32_t *multipliers; /* (C*M,), Q0.31 */
  const int8_t *shifts;       /* (C*M,), -31 to 31 */
  int32_t input_zero_point;
  int32_t output_zero_point, output_min, output_max;
} ek_depthwise;

/* scratch: one window (kH,kW,C); unused (may be null) where no window laps over the border.
 *
 * The output may be the input where N and M are 1; scratch then holds pad_top + 1 rows of output
 * (W',C) behind the window. */
void ek_depthwise_s8(const ek_depthwise *p, const int8_t *input, int8_t *output, void *scratch);

#endif
