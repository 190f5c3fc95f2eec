/* DEPTHWISE_CONV_2D 3x3 at stride 1 or 2, int8, for cores with MVE: 4x4 values of a channel a vector. */
#ifndef EK_DEPTHWISE_MVE_H_
#define EK_DEPTHWISE_MVE_H_

#include <stdint.h>

/* Input (N,H,W,C), W * C at least 16; output (N,H',W',C), at stride 1 with H' and W' at least 2. What
 * lies outside the image reads input_zero_point.
 *
 * weights: 16 zeros, then 16 bytes a channel: three columns of three weights, each followed by zeros
 * up to the next multiple of 4 bytes, and a last one of zeros. finish: an ek_top_byte a channel. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width;
  int32_t stride;
  int32_t pad_top, pad_left;
  int32_t strip_columns; /* of the input, its padding and what tiles at the right border lap over */
  int32_t is_plain;      /* as of ek_top_byte, and outputs are not clamped */
  int32_t input_zero_point;
  int32_t output_min, output_max;
  const int8_t *weights;
  const int32_t *finish;
} ek_depthwise_vectors;

/* scratch: strip_columns * 4 * C bytes, and a row of the input. */
void ek_depthwise_mve(const ek_depthwise_vectors *p, const int8_t *input, int8_t *output,
                      void *scratch);

#endif
