/* Requantization by products of 32 bits. */
#ifndef EK_TWO_PRODUCTS_H_
#define EK_TWO_PRODUCTS_H_

#include <stdint.h>

#include "ek_fixed.h"

/* The output of a sum with its bias, from the constants least, most, below_zero, offset, high, low,
 * split, shift, which were proven to give TFLite's:
 *
 *     v = clamp(sum, least, most)
 *     r = v * high + round(v * low / 2^split)
 *     (r + (below_zero if r < 0) + offset) >> shift
 *
 * v * high alone may wrap; split is 1 to 20. */
static inline int8_t ek_finish_twice(int32_t sum, const int32_t *constants) {
  const int32_t v = ek_clamp(sum, constants[0], constants[1]);
  const uint32_t high = (uint32_t)v * (uint32_t)constants[4];
  const int32_t low = ((v * constants[5] >> (constants[6] - 1)) + 1) >> 1;
  const int32_t r = (int32_t)(high + (uint32_t)low);
  return (int8_t)((r + (r < 0 ? constants[2] : 0) + constants[3]) >> constants[7]);
}

#endif
