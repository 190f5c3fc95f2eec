/* FULLY_CONNECTED, int8. */
#ifndef EK_DENSE_S8_H_
#define EK_DENSE_S8_H_

#include <stdint.h>

/* Input (rows, inputs), weights (outputs, inputs), output (rows, outputs). The input zero point's
 * share of every sum is already taken off the bias. */
typedef struct {
  int32_t rows, inputs, outputs;
  const int8_t *weights;
  int32_t weight_zero_point;
  const int32_t *bias;        /* (outputs,) */
  const int32_t *multipliers; /* (outputs,), Q0.31 */
  const int8_t *shifts;       /* (outputs,), -31 to 31 */
  int32_t input_zero_point;
  int32_t output_zero_point, output_min, output_max;
} ek_dense;

void ek_dense_s8(const ek_dense *p, const int8_t *input, int8_t *output);

#endif
