#include "ek_softmax_s8.h"

#include "ek_fixed.h"

#define SUM_BITS 12 /* exponentials are summed in Q12.19 */

static int32_t leading_zeros(uint32_t x) {
  int32_t count = 0;
  for (; !(x & 0x80000000u); x <<= 1) count++;
  return count;
}

/* 1 / (1 + x) for x in [0, 1), Q0.31 in and out, by three Newton-Raphson steps (gemmlowp). */
static int32_t one_over_one_plus(int32_t x) {
  const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) >> 1);
  int32_t guess = 1515870810 + ek_multiply_high(half_denominator, -1010580540);
  for (int step = 0; step < 3; step++) {
    const int32_t error = (1 << 29) - ek_multiply_high(half_denominator, guess);
    guess += ek_saturating_shift(ek_multiply_high(guess, error), 2);
  }
  return ek_saturating_shift(guess, 1);
}

static void row(const ek_softmax *p, const int8_t *input, int8_t *output) {
  int32_t largest = INT8_MIN;
  for (int32_t i = 0; i < p->depth; i++) {
    if (input[i] > largest) largest = input[i];
  }
  int32_t sum = 0;
  for (int32_t i = 0; i < p->depth; i++) {
    sum += ek_divide_by_power(p->exponentials[largest - input[i]], SUM_BITS);
  }
  const int32_t headroom = leading_zeros((uint32_t)sum);
  const int32_t mantissa =
      one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - ((uint32_t)1 << 31)));
  const int32_t exponent = SUM_BITS - headroom + 31 - 8;
  for (int32_t i = 0; i < p->depth; i++) {
    const int32_t product = ek_multiply_high(p->exponentials[largest - input[i]], mantissa);
    const int32_t quotient = exponent > 31 ? 0 : ek_divide_by_power(product, exponent);
    output[i] = (int8_t)ek_clamp(quotient + INT8_MIN, INT8_MIN, INT8_MAX);
  }
}

void ek_softmax_s8(const ek_softmax *p, const int8_t *input, int8_t *output) {
  for (int32_t i = 0; i < p->rows; i++) row(p, input + i * p->depth, output + i * p->depth);
}
