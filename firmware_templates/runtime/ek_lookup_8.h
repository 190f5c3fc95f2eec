/* Any function of one 8-bit value: LOGISTIC, HARD_SWISH, RELU, RELU6, QUANTIZE between 8-bit scales. */
#ifndef EK_LOOKUP_8_H_
#define EK_LOOKUP_8_H_

#include <stdint.h>

/* table[b] is the result for the value whose bits are b. Input and output may be the same. */
typedef struct {
  int32_t elements;
  const uint8_t *table; /* (256,) */
} ek_lookup;

void ek_lookup_8(const ek_lookup *p, const void *input, void *output);

#endif
