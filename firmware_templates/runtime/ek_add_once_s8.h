/* ADD and SUB of two activations of one shape, int8, in one step. */
#ifndef EK_ADD_ONCE_S8_H_
#define EK_ADD_ONCE_S8_H_

#include <stdint.h>

/* y = clamp((a * a_factor + b * b_factor + offset) >> 20), which stays within 32 bits. */
typedef struct {
  int32_t elements;
  int32_t a_factor, b_factor, offset;
  int32_t output_min, output_max;
} ek_add_once;

void ek_add_once_s8(const ek_add_once *p, const int8_t *a, const int8_t *b, int8_t *output);

#endif
