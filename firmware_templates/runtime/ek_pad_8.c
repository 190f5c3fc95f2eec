#include "ek_pad_8.h"

#include <stddef.h>

#include "ek_mem.h"

void ek_pad_8(const ek_pad *p, const void *input, void *output) {
  const int32_t last = EK_RANK - 1, length = p->input_shape[last];
  const uint8_t *from = input;
  uint8_t *const to = (uint8_t *)output + p->output_offset;
  int32_t rows[EK_RANK], position[EK_RANK] = {0};
  for (int32_t axis = 0; axis < last; axis++) rows[axis] = p->input_shape[axis];
  rows[last] = 1;
  memset(output, p->fill, (size_t)p->output_elements);
  do {
    memcpy(to + ek_offset(position, p->output_strides), from, (size_t)length);
    from += length;
  } while (ek_next(position, rows));
}
