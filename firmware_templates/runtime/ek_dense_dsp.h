/* FULLY_CONNECTED, int8, for cores with pairs of 16-bit products. */
#ifndef EK_DENSE_DSP_H_
#define EK_DENSE_DSP_H_

#include <stdint.h>

/* Input (rows, inputs), output (rows, outputs); inputs are padded to 4 * steps, steps even.
 *
 * weights, for each four outputs (the last are padded): four biases; steps times a word of each, two
 * halfwords 256 * w[2i] - w[2i + 1]; multiplier, offset, jump (added to negative sums) and shift of
 * each; then EK_DENSE_NEXT, or EK_DENSE_LAST after the last whole four and after the padded ones. A
 * bias is 256 times the layer's less 129 * (w[1] + w[3] + ...). */
typedef struct {
  int32_t rows, inputs, outputs;
  int32_t steps;
  const int32_t *weights;
} ek_dense_packed;

#define EK_DENSE_NEXT 4
#define EK_DENSE_LAST 5

/* scratch: 8 bytes a step. */
void ek_dense_dsp(const ek_dense_packed *p, const int8_t *input, int8_t *output, void *scratch);

#endif
