#include "ek_mean_s8.h"

#include "ek_fixed.h"

static int32_t total(const ek_mean *p, const int8_t *input) {
  const int32_t last = EK_RANK - 1, step = p->reduced_strides[last];
  int32_t rows[EK_RANK], position[EK_RANK] = {0}, sum = p->bias;
  for (int32_t axis = 0; axis < last; axis++) rows[axis] = p->reduced_shape[axis];
  rows[last] = 1;
  do {
    const int8_t *x = input + ek_offset(position, p->reduced_strides);
    for (int32_t i = 0; i < p->reduced_shape[last]; i++, x += step) sum += *x;
  } while (ek_next(position, rows));
  return sum;
}

void ek_mean_s8(const ek_mean *p, const int8_t *input, int8_t *output) {
  int32_t position[EK_RANK] = {0};
  do {
    const int32_t sum = total(p, input + ek_offset(position, p->kept_strides));
    const int32_t scaled = ek_rescale(sum, p->multiplier, p->shift);
    *output++ = (int8_t)ek_clamp(ek_add_wrapping(scaled, p->output_zero_point), p->output_min,
                                 p->output_max);
  } while (ek_next(position, p->kept_shape));
}
