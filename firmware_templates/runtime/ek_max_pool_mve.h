/* MAX_POOL_2D, int8, for cores with MVE. */
#ifndef EK_MAX_POOL_MVE_H_
#define EK_MAX_POOL_MVE_H_

#include "ek_pool.h"

void ek_max_pool_mve(const ek_pool *p, const int8_t *input, int8_t *output);

#endif
