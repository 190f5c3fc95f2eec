/* QUANTIZE, float to int8. */
#ifndef EK_QUANTIZE_F32_S8_H_
#define EK_QUANTIZE_F32_S8_H_

#include <stdint.h>

typedef struct {
  int32_t elements;
  float scale;
  int32_t zero_point;
} ek_quantize;

void ek_quantize_f32_s8(const ek_quantize *p, const float *input, int8_t *output);

#endif
