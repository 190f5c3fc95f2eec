#include "ek_dequantize_s8_f32.h"

void ek_dequantize_s8_f32(const ek_dequantize *p, const int8_t *input, float *output) {
  for (int32_t i = 0; i < p->elements; i++) {
    /* An integer of 9 bits times a float: the exact product, rounded once. */
    output[i] = (float)(input[i] - p->zero_point) * p->scale;
  }
}
