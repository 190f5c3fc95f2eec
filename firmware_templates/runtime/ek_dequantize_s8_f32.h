/* DEQUANTIZE, int8 to float. */
#ifndef EK_DEQUANTIZE_S8_F32_H_
#define EK_DEQUANTIZE_S8_F32_H_

#include <stdint.h>

typedef struct {
  int32_t elements;
  float scale;
  int32_t zero_point;
} ek_dequantize;

void ek_dequantize_s8_f32(const ek_dequantize *p, const int8_t *input, float *output);

#endif
