/* CONV_2D, int8, for cores that multiply 32 bits at once: two pixels in a product. */
#ifndef EK_CONV_PAIRS_H_
#define EK_CONV_PAIRS_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',O), H'*W' at least 8. What lies outside the image reads
 * input_zero_point.
 *
 * weights, for each channel: for each run of n taps (1 to 23) the byte 1 + 11 * (23 - n) and n weights
 * in OHWI order, whose sum of products with any int8 values is within 16 bits; a byte 0. Taps that are
 * left over have the weight 0.
 *
 * constants, for each channel ten words: 65537 * bias - 32768 * runs, bias, and the eight of
 * ek_two_products.h. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t taps; /* kH * kW * C */
  int32_t input_zero_point;
  const int8_t *weights;
  const int32_t *constants;
} ek_paired_conv;

/* scratch: the panel of eight windows, 16 bytes a tap, and C bytes. */
void ek_conv_pairs(const ek_paired_conv *p, const int8_t *input, int8_t *output, void *scratch);

#endif
