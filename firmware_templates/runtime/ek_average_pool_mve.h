/* AVERAGE_POOL_2D without padding, int8, for cores with MVE. */
#ifndef EK_AVERAGE_POOL_MVE_H_
#define EK_AVERAGE_POOL_MVE_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',C), C a multiple of 8; at most 255 values a window.
 *
 * A sum s, less 1 if it is negative and rounds_away is set, gives the top byte of
 * (s * factor + offset) << shift, held within int32; the product and its sum with the offset fit
 * int32. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t rounds_away;
  int32_t factor, offset, shift;
} ek_pool_vectors;

void ek_average_pool_mve(const ek_pool_vectors *p, const int8_t *input, int8_t *output);

#endif
