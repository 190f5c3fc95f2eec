/* ADD and SUB of two tensors of one shape, int8, for cores with MVE. */
#ifndef EK_ADD_MVE_H_
#define EK_ADD_MVE_H_

#include <stdint.h>

/* output = top byte of (a * a_factor + b * b_factor + offset) << shift, held within int32; the sum
 * itself fits int32 for any bytes. Output may lie where an operand lies. */
typedef struct {
  int32_t elements;
  int32_t a_factor, b_factor;
  int32_t offset, shift;
} ek_add_vectors;

void ek_add_mve(const ek_add_vectors *p, const int8_t *a, const int8_t *b, int8_t *output);

#endif
