/* What kernels for MVE share: copies of any length, and how a sum becomes an output. */
#ifndef EK_VECTOR_H_
#define EK_VECTOR_H_

#include <stdint.h>

#include "ek_fixed.h"

#define EK_VECTOR 16 /* bytes */

/* What a sum becomes, in this order wherever weights hold it for a channel: the sum plus bias, times
 * multiplier / 2^31, rounded; less 1 if that is negative and is_plain is not set; plus offset; and
 * shifted left by 24 less the right shift that is meant, held within int32, so that the top byte is
 * the output, held within int8. Then it is clamped. */
typedef struct {
  int32_t bias, multiplier, offset, shift;
} ek_top_byte;

#if defined(__ARM_FEATURE_MVE)

/* count bytes, 0 or more: the last vector is cut to what is left. */
static inline void ek_copy(int8_t *to, const int8_t *from, int32_t count) {
  __asm volatile(
      "wlstp.8 lr, %[count], 2f\n\t"
      "1: vldrb.8 q0, [%[from]], #16\n\t"
      "vstrb.8 q0, [%[to]], #16\n\t"
      "letp lr, 1b\n\t"
      "2:\n\t"
      : [to] "+l"(to), [from] "+l"(from)
      : [count] "r"(count)
      : "lr", "q0", "memory");
}

/* The same byte count times. */
static inline void ek_fill(int8_t *to, int32_t byte, int32_t count) {
  __asm volatile(
      "vdup.8 q0, %[byte]\n\t"
      "wlstp.8 lr, %[count], 2f\n\t"
      "1: vstrb.8 q0, [%[to]], #16\n\t"
      "letp lr, 1b\n\t"
      "2:\n\t"
      : [to] "+l"(to)
      : [byte] "r"(byte), [count] "r"(count)
      : "lr", "q0", "memory");
}

#else

static inline void ek_copy(int8_t *to, const int8_t *from, int32_t count) {
  for (int32_t i = 0; i < count; i++) to[i] = from[i];
}

static inline void ek_fill(int8_t *to, int32_t byte, int32_t count) {
  for (int32_t i = 0; i < count; i++) to[i] = (int8_t)byte;
}

static inline int32_t ek_dot(const int8_t *x, const int8_t *y, int32_t count) {
  int32_t sum = 0;
  for (int32_t i = 0; i < count; i++) sum += x[i] * y[i];
  return sum;
}

/* A sum's output, not yet clamped. */
static inline int8_t ek_top_byte_of(int32_t sum, const ek_top_byte *t, int32_t is_plain) {
  int32_t scaled = ek_multiply_high(sum + t->bias, t->multiplier);
  if (!is_plain && scaled < 0) scaled--;
  scaled += t->offset;
  scaled = t->shift < 0 ? scaled >> -t->shift : ek_saturating_shift(scaled, t->shift);
  return (int8_t)(scaled >> 24);
}

#endif

#endif
