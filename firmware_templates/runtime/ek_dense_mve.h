/* FULLY_CONNECTED, int8, for cores with MVE: four outputs at a time. */
#ifndef EK_DENSE_MVE_H_
#define EK_DENSE_MVE_H_

#include <stdint.h>

/* Input (rows, inputs), output (rows, outputs).
 *
 * weights, for each four outputs: their biases; in turn 16 bytes of each, zeros behind the last; their
 * multipliers, their offsets and their shifts, as of ek_top_byte. */
typedef struct {
  int32_t rows, inputs, outputs;
  int32_t is_plain; /* as of ek_top_byte, and outputs are not clamped */
  int32_t output_min, output_max;
  const int32_t *weights;
} ek_dense_vectors;

void ek_dense_mve(const ek_dense_vectors *p, const int8_t *input, int8_t *output);

#endif
