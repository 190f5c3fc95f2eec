/* DEPTHWISE_CONV_2D 3x3, int8, for cores that multiply 32 bits at once: one channel after the other. */
#ifndef EK_DEPTHWISE_PLANES_H_
#define EK_DEPTHWISE_PLANES_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',C), W' at least 3, stride_width 1 or 2. What lies outside the image
 * reads input_zero_point.
 *
 * weights, for each channel 18 words: its bias, its weights row by row, the eight of ek_two_products.h. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t strip_height; /* rows of output that are computed together */
  int32_t input_zero_point;
  const int32_t *weights;
} ek_planar_depthwise;

/* scratch: what a strip of one channel reads, padded, as words:
 * 4 * ((strip_height - 1) * stride_height + 3) * ((W' - 1) * stride_width + 3) bytes.
 *
 * The output may be the input where N is 1 and their shapes are the same; scratch then holds what all
 * H' rows read. */
void ek_depthwise_planes(const ek_planar_depthwise *p, const int8_t *input, int8_t *output,
                         void *scratch);

#endif
