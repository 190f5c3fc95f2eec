/* TRANSPOSE of 8-bit elements. */
#ifndef EK_TRANSPOSE_8_H_
#define EK_TRANSPOSE_8_H_

#include "ek_strides.h"

/* shape is the output's; strides are the input's, in the order of the output's dimensions. */
typedef struct {
  int32_t shape[EK_RANK], strides[EK_RANK];
} ek_transpose;

void ek_transpose_8(const ek_transpose *p, const void *input, void *output);

#endif
