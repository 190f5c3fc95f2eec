/* Sums of products of int8 vectors: what convolutions and matrix products spend their time in. */
#ifndef EK_PRODUCTS_H_
#define EK_PRODUCTS_H_

#include <stdint.h>

static inline int32_t ek_sum(const int8_t *x, int32_t count) {
  int32_t sum = 0;
  for (int32_t i = 0; i < count; i++) sum += x[i];
  return sum;
}

/* sums[k] += x . y[k] for two vectors: every x that is loaded is multiplied twice. Not inlined, the
 * sums last, counting down: so the loop fits the eight registers of Armv6-M. */
static __attribute__((noinline)) void ek_add_products_1x2(const int8_t *x, const int8_t *y0,
                                                          const int8_t *y1, int32_t count,
                                                          int32_t sums[2]) {
  int32_t a = sums[0], b = sums[1];
  for (int32_t i = count - 1; i >= 0; i--) {
    const int32_t value = x[i];
    a += value * y0[i];
    b += value * y1[i];
  }
  sums[0] = a;
  sums[1] = b;
}

/* sums[j][k] += x[j] . y[k] for two by two vectors: all in the registers of Armv7-M. Not unrolled:
 * compilers then spill more registers than they save branches. */
static inline void ek_add_products_2x2(const int8_t *x0, const int8_t *x1, const int8_t *y0,
                                       const int8_t *y1, int32_t count, int32_t sums[2][2]) {
  int32_t a = sums[0][0], b = sums[0][1], c = sums[1][0], d = sums[1][1];
  for (const int8_t *const end = x0 + count; x0 != end;) {
    const int32_t left = *x0++, right = *x1++, first = *y0++, second = *y1++;
    a += left * first;
    b += left * second;
    c += right * first;
    d += right * second;
  }
  sums[0][0] = a;
  sums[0][1] = b;
  sums[1][0] = c;
  sums[1][1] = d;
}

#endif
