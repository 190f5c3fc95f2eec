/* Rows of bytes from one place to another: what CONCATENATION and SPLIT are made of. */
#ifndef EK_COPY_ROWS_H_
#define EK_COPY_ROWS_H_

#include <stdint.h>

/* Row r of row_bytes moves from input_offset + r * input_stride to output_offset + r * output_stride. */
typedef struct {
  int32_t rows, row_bytes;
  int32_t input_offset, input_stride;
  int32_t output_offset, output_stride;
} ek_copy;

void ek_copy_rows(const ek_copy *p, const void *input, void *output);

#endif
