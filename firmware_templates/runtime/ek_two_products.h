/* Requantization by products of 32 bits. */
#ifndef EK_TWO_PRODUCTS_H_
#define EK_TWO_PRODUCTS_H_

#include <stdint.h>

/* The output of a sum v with its bias, from the constants high, low, split, shift, below_zero, offset,
 * which were proven to give TFLite's:
 *
 *     r = v * high + round(v * low / 2^split)
 *     clamp((r + (below_zero if r < 0) + offset) >> shift, 0, 255) - 128
 *
 * v * high alone may wrap; split is 1 to 20. */
static inline int8_t ek_finish_twice(int32_t v, const int32_t *constants) {
  const uint32_t high = (uint32_t)v * (uint32_t)constants[0];
  const int32_t low = ((v * constants[1] >> (constants[2] - 1)) + 1) >> 1;
  const int32_t r = (int32_t)(high + (uint32_t)low);
  const int32_t y = ((r < 0 ? r + constants[4] : r) + constants[5]) >> constants[3];
  return (int8_t)((y < 0 ? 0 : y > 255 ? 255 : y) - 128);
}

#endif
