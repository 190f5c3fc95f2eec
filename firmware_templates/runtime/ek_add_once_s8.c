/* That one step gives what three roundings give was found by trying all 65,536 pairs of operands when
 * the program was written. */
#include "ek_add_once_s8.h"

#include "ek_fixed.h"

/* saturate_int8(x >> 20), for which compilers compare twice. */
static inline int32_t high_byte(int32_t x) {
#if defined(__ARM_FEATURE_SAT)
  int32_t result;
  __asm("ssat %0, #8, %1, asr #20" : "=r"(result) : "r"(x));
  return result;
#else
  return ek_clamp(x >> 20, INT8_MIN, INT8_MAX);
#endif
}

void ek_add_once_s8(const ek_add_once *p, const int8_t *a, const int8_t *b, int8_t *output) {
  const int32_t f = p->a_factor, g = p->b_factor, offset = p->offset;
  const int8_t *const end = a + p->elements, *const last_four = end - 3;
  int8_t *y = output;
  for (; a < last_four; a += 4, b += 4, y += 4) {
    y[0] = (int8_t)high_byte(offset + a[0] * f + b[0] * g);
    y[1] = (int8_t)high_byte(offset + a[1] * f + b[1] * g);
    y[2] = (int8_t)high_byte(offset + a[2] * f + b[2] * g);
    y[3] = (int8_t)high_byte(offset + a[3] * f + b[3] * g);
  }
  for (; a < end; a++, b++, y++) *y = (int8_t)high_byte(offset + *a * f + *b * g);
  const int32_t low = p->output_min, high = p->output_max;
  if (low > INT8_MIN || high < INT8_MAX) {
    for (const int8_t *const last = y; output != last; output++) {
      *output = (int8_t)ek_clamp(*output, low, high);
    }
  }
}
