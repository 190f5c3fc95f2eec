/* The memory functions of a C library, which freestanding compilers have no header for. ek_mem.c holds
 * them for chips; on a computer they are the C library's own. */
#ifndef EK_MEM_H_
#define EK_MEM_H_

#include <stddef.h>

void *memcpy(void *restrict target, const void *restrict source, size_t count);
void *memmove(void *target, const void *source, size_t count);
void *memset(void *target, int value, size_t count);
int memcmp(const void *one, const void *other, size_t count);

#endif
