/* SOFTMAX over the last dimension, int8; the output's scale is 1/256, its zero point -128. */
#ifndef EK_SOFTMAX_S8_H_
#define EK_SOFTMAX_S8_H_

#include <stdint.h>

typedef struct {
  int32_t rows, depth;          /* depth at most 4095 */
  const int32_t *exponentials;  /* (256,), Q0.31: of 0, -1, -2, ... steps of the input */
} ek_softmax;

void ek_softmax_s8(const ek_softmax *p, const int8_t *input, int8_t *output);

#endif
