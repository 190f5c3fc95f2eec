/* Loops over tensors of any rank: shapes are filled up with ones in front. */
#ifndef EK_STRIDES_H_
#define EK_STRIDES_H_

#include <stdint.h>

#define EK_RANK 6

/* The next position of a counter over `shape`, the last dimension fastest; 0 after the last. */
static inline int ek_next(int32_t position[EK_RANK], const int32_t shape[EK_RANK]) {
  for (int32_t axis = EK_RANK - 1; axis >= 0; axis--) {
    if (++position[axis] < shape[axis]) return 1;
    position[axis] = 0;
  }
  return 0;
}

/* Where a position lies; a stride of 0 repeats the element. */
static inline int32_t ek_offset(const int32_t position[EK_RANK], const int32_t strides[EK_RANK]) {
  int32_t offset = 0;
  for (int32_t axis = 0; axis < EK_RANK; axis++) offset += position[axis] * strides[axis];
  return offset;
}

#endif
