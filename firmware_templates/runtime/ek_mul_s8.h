/* MUL, int8, broadcast. */
#ifndef EK_MUL_S8_H_
#define EK_MUL_S8_H_

#include "ek_strides.h"

typedef struct {
  int32_t shape[EK_RANK]; /* of the output; rows are its last dimension */
  int32_t a_strides[EK_RANK], b_strides[EK_RANK];
  int32_t a_zero_point, b_zero_point;
  int32_t multiplier, shift;
  int32_t output_zero_point, output_min, output_max;
} ek_mul;

void ek_mul_s8(const ek_mul *p, const int8_t *a, const int8_t *b, int8_t *output);

#endif
