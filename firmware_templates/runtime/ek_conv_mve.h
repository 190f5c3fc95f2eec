/* CONV_2D, int8, for cores with MVE: 16 products an instruction. */
#ifndef EK_CONV_MVE_H_
#define EK_CONV_MVE_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',O), O a multiple of 4, H' * W' at least 4. What lies outside the
 * image reads input_zero_point. A window's kH*kW*C values are filled up to window_bytes, a multiple
 * of 16, or 8, which weights of 0 meet.
 *
 * weights, for each pair of channels: in turn 16 bytes (8 of windows of 8) of the first and of the
 * second; an ek_top_byte of the first, and of the second. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t window_bytes;
  int32_t is_direct; /* 1x1 at stride 1, no padding, C = window_bytes: windows lie ready in the input */
  int32_t gathered; /* otherwise: windows that are gathered together, a multiple of 4 up to H' * W' */
  int32_t is_plain;  /* as of ek_top_byte, and outputs are not clamped */
  int32_t input_zero_point;
  int32_t output_min, output_max;
  int32_t weights_bytes;
  const int32_t *weights;
} ek_conv_vectors;

/* scratch: unless is_direct, `gathered` windows. */
void ek_conv_mve(const ek_conv_vectors *p, const int8_t *input, int8_t *output, void *scratch);

#endif
