/* ADD and SUB, int8, broadcast. */
#ifndef EK_ADD_S8_H_
#define EK_ADD_S8_H_

#include "ek_strides.h"

/* Both operands, less their zero points, are raised by 2^20, brought to half the larger scale, added
 * and brought to the output's scale. */
typedef struct {
  int32_t shape[EK_RANK]; /* of the output; rows are its last dimension */
  int32_t a_strides[EK_RANK], b_strides[EK_RANK];
  int32_t a_zero_point, a_multiplier, a_shift;
  int32_t b_zero_point, b_multiplier, b_shift;
  int32_t is_difference;
  int32_t multiplier, shift;
  int32_t output_zero_point, output_min, output_max;
} ek_add;

void ek_add_s8(const ek_add *p, const int8_t *a, const int8_t *b, int8_t *output);

#endif
