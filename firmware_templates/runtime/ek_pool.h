/* What both poolings are told, and where their windows lie. */
#ifndef EK_POOL_H_
#define EK_POOL_H_

#include <stdint.h>

/* Input (N,H,W,C), output (N,H',W',C); what lies outside the image does not count. */
typedef struct {
  int32_t batches;
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t offset; /* of the values averaged: 128 where they were unsigned, else 0 */
  int32_t output_min, output_max;
} ek_pool;

/* The part of a window of one axis that lies inside: the first element, and one past the last. */
static inline void ek_pool_inside(int32_t start, int32_t taps, int32_t size, int32_t *first,
                                  int32_t *last) {
  *first = start > 0 ? start : 0;
  *last = start + taps < size ? start + taps : size;
}

#endif
