#include "ek_add_s8.h"

#include "ek_fixed.h"

static int32_t raised(int32_t centred, int32_t multiplier, int32_t shift) {
  return ek_rescale(centred * (1 << 20), multiplier, shift);
}

void ek_add_s8(const ek_add *p, const int8_t *a, const int8_t *b, int8_t *output) {
  const int32_t a_step = p->a_strides[EK_RANK - 1], b_step = p->b_strides[EK_RANK - 1];
  int32_t rows[EK_RANK], position[EK_RANK] = {0};
  for (int32_t axis = 0; axis < EK_RANK; axis++) rows[axis] = p->shape[axis];
  rows[EK_RANK - 1] = 1;
  do {
    const int8_t *x = a + ek_offset(position, p->a_strides);
    const int8_t *y = b + ek_offset(position, p->b_strides);
    for (int32_t i = 0; i < p->shape[EK_RANK - 1]; i++, x += a_step, y += b_step) {
      const int32_t first = raised(*x - p->a_zero_point, p->a_multiplier, p->a_shift);
      const int32_t second = raised(*y - p->b_zero_point, p->b_multiplier, p->b_shift);
      const int32_t sum = p->is_difference ? first - second : first + second;
      const int32_t scaled = ek_rescale(sum, p->multiplier, p->shift);
      *output++ = (int8_t)ek_clamp(scaled + p->output_zero_point, p->output_min, p->output_max);
    }
  } while (ek_next(position, rows));
}
