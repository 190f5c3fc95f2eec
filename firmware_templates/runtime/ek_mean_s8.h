/* MEAN over any axes, int8. */
#ifndef EK_MEAN_S8_H_
#define EK_MEAN_S8_H_

#include "ek_strides.h"

/* kept_* run over the output, reduced_* over what is averaged; the multiplier has 1/count in it. */
typedef struct {
  int32_t kept_shape[EK_RANK], kept_strides[EK_RANK];
  int32_t reduced_shape[EK_RANK], reduced_strides[EK_RANK];
  int32_t bias; /* -count * the input's zero point */
  int32_t multiplier, shift;
  int32_t output_zero_point, output_min, output_max;
} ek_mean;

void ek_mean_s8(const ek_mean *p, const int8_t *input, int8_t *output);

#endif
