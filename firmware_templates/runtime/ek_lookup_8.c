#include "ek_lookup_8.h"

void ek_lookup_8(const ek_lookup *p, const void *input, void *output) {
  const uint8_t *x = input;
  uint8_t *y = output;
  for (int32_t i = 0; i < p->elements; i++) y[i] = p->table[x[i]];
}
