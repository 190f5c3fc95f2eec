/* Sums of four channels over pixels, which means and average pooling begin with. */
#ifndef EK_FOUR_SUMS_H_
#define EK_FOUR_SUMS_H_

#include "ek_packed.h"

/* Channels 0 and 2, 1 and 3, as halfwords: they hold 256 pixels. */
typedef struct {
  uint32_t even, odd;
} ek_four_sums;

#define EK_FOUR_SUMS_PIXELS 256

/* The sums of count more pixels, `apart` bytes from one to the next. */
static inline ek_four_sums ek_add_pixels(ek_four_sums sums, const int8_t *x, int32_t apart,
                                         int32_t count) {
  uint32_t even = sums.even, odd = sums.odd;
  for (const int8_t *const end = x + count * apart; x != end; x += apart) {
    const uint32_t word = ek_load_word(x);
    even = ek_sxtab16(even, word);
    odd = ek_sxtab16_odd(odd, word);
  }
  return (ek_four_sums){even, odd};
}

static inline int32_t ek_sum_of(ek_four_sums sums, int32_t channel) {
  const uint32_t pair = channel % 2 ? sums.odd : sums.even;
  return channel < 2 ? (int16_t)pair : (int32_t)pair >> 16;
}

#endif
