/* What the C library does to memory, as there is none: compilers call these four by themselves. */
#include "ek_mem.h"

#include <stdint.h>

/* A compiler that knows memcpy would put a call of memcpy in place of the loop inside it. */
#if defined(__clang__)
#define EK_AS_WRITTEN __attribute__((no_builtin))
#else
#define EK_AS_WRITTEN __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

typedef uint32_t __attribute__((may_alias)) ek_word;

static int are_words(const void *one, const void *other) {
  return (((uintptr_t)one | (uintptr_t)other) & 3u) == 0;
}

EK_AS_WRITTEN void *memcpy(void *restrict target, const void *restrict source, size_t count) {
  uint8_t *to = target;
  const uint8_t *from = source;
  if (are_words(to, from)) {
    for (; count >= 4; count -= 4, to += 4, from += 4) *(ek_word *)to = *(const ek_word *)from;
  }
  for (; count > 0; count--) *to++ = *from++;
  return target;
}

EK_AS_WRITTEN void *memset(void *target, int value, size_t count) {
  uint8_t *to = target;
  if (are_words(to, to)) {
    const ek_word word = (uint8_t)value * 0x01010101u;
    for (; count >= 4; count -= 4, to += 4) *(ek_word *)to = word;
  }
  for (; count > 0; count--) *to++ = (uint8_t)value;
  return target;
}

EK_AS_WRITTEN void *memmove(void *target, const void *source, size_t count) {
  uint8_t *to = target;
  const uint8_t *from = source;
  if (to <= from) {
    for (; count > 0; count--) *to++ = *from++;
  } else {
    while (count > 0) {
      count--;
      to[count] = from[count];
    }
  }
  return target;
}

EK_AS_WRITTEN int memcmp(const void *one, const void *other, size_t count) {
  const uint8_t *left = one, *right = other;
  for (; count > 0; count--, left++, right++) {
    if (*left != *right) return *left < *right ? -1 : 1;
  }
  return 0;
}
