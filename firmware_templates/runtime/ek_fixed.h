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

/* The smallest cores have eight registers for arithmetic, and a multiplier that gives 32 bits: a
 * product of 64 is put together from four of 16 by 16. */
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define EK_FEW_REGISTERS
#define EK_NARROW_MULTIPLIER
#endif

/* round(a * b / 2^31), ties upwards; a and b are not both INT32_MIN, which alone would saturate. */
static inline int32_t ek_multiply_high(int32_t a, int32_t b) {
#ifdef EK_NARROW_MULTIPLIER
  const int32_t a_high = a >> 16, a_low = a & 0xffff, b_high = b >> 16, b_low = b & 0xffff;
  const int32_t one = a_high * b_low + (int32_t)(((uint32_t)a_low * (uint32_t)b_low) >> 16);
  const int32_t other = a_low * b_high + (one & 0xffff);
  const int32_t high = a_high * b_high + (one >> 16) + (other >> 16); /* bits 32 to 63 */
  const int32_t next = (other >> 14) & 3;                             /* bits 30 and 31 */
  return (int32_t)(((uint32_t)high << 1) + (uint32_t)((next + 1) >> 1));
#else
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
#endif
}

/* round(x / 2^exponent), ties away from zero; exponent 1 to 31, x above INT32_MIN. */
static inline int32_t ek_divide_by_power(int32_t x, int32_t exponent) {
  return (((x + (x >> 31)) >> (exponent - 1)) + 1) >> 1;
}

/* x * multiplier * 2^(shift - 31), rounded twice; shift -31 to 31, multiplier 0 to INT32_MAX. */
static inline int32_t ek_rescale(int32_t x, int32_t multiplier, int32_t shift) {
  if (shift < 0) return ek_divide_by_power(ek_multiply_high(x, multiplier), -shift);
  return ek_multiply_high((int32_t)((uint32_t)x << shift), multiplier);
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
