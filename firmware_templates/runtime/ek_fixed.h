/* The fixed-point arithmetic that every integer kernel ends in.
 *
 * Names and rounding are gemmlowp's (fixedpoint.h), in the double-rounding form that TensorFlow
 * Lite Micro and CMSIS-NN compile; edgekit's graph/fixedpoint.py is the same in Python. What C
 * leaves undefined (overflow) is computed modulo 2^32 here, as those kernels do in practice. Right
 * shifts of negative numbers are arithmetic, as on every compiler that has an Arm target. */
#ifndef EK_FIXED_H_
#define EK_FIXED_H_

#include <stdint.h>

/* a + b modulo 2^32. */
static inline int32_t ek_add_wrapping(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* round(a * b / 2^31), ties upwards; a and b are not both INT32_MIN, which alone would saturate. */
static inline int32_t ek_multiply_high(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* round(x / 2^exponent), ties away from zero; exponent 0 to 31. */
static inline int32_t ek_divide_by_power(int32_t x, int32_t exponent) {
  const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1u);
  const int32_t threshold = (mask >> 1) + (x < 0);
  return (x >> exponent) + ((x & mask) > threshold);
}

/* x * multiplier * 2^(shift - 31), rounded twice; shift -31 to 31, multiplier 0 or >= 2^30. */
static inline int32_t ek_rescale(int32_t x, int32_t multiplier, int32_t shift) {
  if (shift > 0) {
    return ek_multiply_high((int32_t)((uint32_t)x << shift), multiplier);
  }
  return ek_divide_by_power(ek_multiply_high(x, multiplier), -shift);
}

/* x * 2^exponent, held within int32; exponent 0 to 31. */
static inline int32_t ek_saturating_shift(int32_t x, int32_t exponent) {
  const int32_t limit = INT32_MAX >> exponent;
  return x > limit ? INT32_MAX : x < -limit - 1 ? INT32_MIN : x * (1 << exponent);
}

static inline int32_t ek_clamp(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : x;
}

#endif
