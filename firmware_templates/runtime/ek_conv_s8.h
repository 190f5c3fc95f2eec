/* CONV_2D, int8: dense and grouped convolutions. */
#ifndef EK_CONV_S8_H_
#define EK_CONV_S8_H_

#include <stdint.h>

/* Input (N,H,W,C), weights OHWI with I = C / groups, output (N,H',W',O). What lies outside the image
 * reads input_zero_point, whose share of every sum is already taken off the bias. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t pad_top, pad_left;
  int32_t groups;
  const int8_t *weights;
  int32_t weight_zero_point;  /* 0 but for models that were uint8 */
  const int32_t *bias;        /* (O,) */
  const int32_t *multipliers; /* (O,), Q0.31 */
  const int8_t *shifts;       /* (O,), -31 to 31 */
  int32_t input_zero_point;
  int32_t output_zero_point, output_min, output_max;
} ek_conv;

/* scratch: two windows of one group; unused (may be null) for 1x1 at stride 1 without padding. */
void ek_conv_s8(const ek_conv *p, const int8_t *input, int8_t *output, void *scratch);

#endif
