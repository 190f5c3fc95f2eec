#include "ek_quantize_f32_s8.h"

#include "ek_fixed.h"

/* Far beyond any 8-bit value, and what int32 holds. */
#define FAR 1e6f

/* Ties away from zero; NaN becomes the zero point. */
static int32_t rounded(float steps) {
  if (steps > FAR) return (int32_t)FAR;
  if (steps < -FAR) return (int32_t)-FAR;
  const int32_t whole = steps == steps ? (int32_t)steps : 0;
  const float rest = steps == steps ? steps - (float)whole : 0.0f; /* exact: both are below 2^24 */
  return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

void ek_quantize_f32_s8(const ek_quantize *p, const float *input, int8_t *output) {
  for (int32_t i = 0; i < p->elements; i++) {
    const int32_t value = rounded(input[i] / p->scale) + p->zero_point;
    output[i] = (int8_t)ek_clamp(value, INT8_MIN, INT8_MAX);
  }
}
