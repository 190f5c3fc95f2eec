/* MAX_POOL_2D, int8. */
#ifndef EK_MAX_POOL_S8_H_
#define EK_MAX_POOL_S8_H_

#include "ek_pool.h"

void ek_max_pool_s8(const ek_pool *p, const int8_t *input, int8_t *output);

#endif
