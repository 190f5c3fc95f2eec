/* PAD and PADV2 of 8-bit elements. */
#ifndef EK_PAD_8_H_
#define EK_PAD_8_H_

#include "ek_strides.h"

typedef struct {
  int32_t input_shape[EK_RANK];
  int32_t output_strides[EK_RANK]; /* in elements */
  int32_t output_offset;           /* of the input's first element */
  int32_t output_elements;
  int32_t fill; /* the byte around it, -128 to 255 */
} ek_pad;

void ek_pad_8(const ek_pad *p, const void *input, void *output);

#endif
