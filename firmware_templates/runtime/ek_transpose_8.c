#include "ek_transpose_8.h"

void ek_transpose_8(const ek_transpose *p, const void *input, void *output) {
  const uint8_t *from = input;
  uint8_t *to = output;
  int32_t position[EK_RANK] = {0};
  do {
    *to++ = from[ek_offset(position, p->strides)];
  } while (ek_next(position, p->shape));
}
