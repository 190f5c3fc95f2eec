#include "ek_copy_rows.h"

#include <stddef.h>

#include "ek_mem.h"

void ek_copy_rows(const ek_copy *p, const void *input, void *output) {
  const uint8_t *from = (const uint8_t *)input + p->input_offset;
  uint8_t *to = (uint8_t *)output + p->output_offset;
  if (from == to && p->rows == 1) return; /* the part was made, or will be read, where it belongs */
  for (int32_t row = 0; row < p->rows; row++) {
    memcpy(to, from, (size_t)p->row_bytes);
    from += p->input_stride;
    to += p->output_stride;
  }
}
