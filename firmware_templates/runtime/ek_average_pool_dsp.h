/* AVERAGE_POOL_2D, int8, four channels at a time. */
#ifndef EK_AVERAGE_POOL_DSP_H_
#define EK_AVERAGE_POOL_DSP_H_

#include "ek_pool.h"

/* At least 4 channels, at most 256 pixels a window. */
void ek_average_pool_dsp(const ek_pool *p, const int8_t *input, int8_t *output);

#endif
