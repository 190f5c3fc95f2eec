#include "ek_add_mve.h"

#include "ek_vector.h"

#if defined(__ARM_FEATURE_MVE)

void ek_add_mve(const ek_add_vectors *p, const int8_t *a, const int8_t *b, int8_t *output) {
  __asm volatile(
      "vdup.32 q2, %[a_factor]\n\t"
      "wlstp.32 lr, %[elements], 2f\n\t"
      "1: vldrb.s32 q0, [%[a]], #4\n\t"
      "vldrb.s32 q1, [%[b]], #4\n\t"
      "vmlas.s32 q0, q2, %[offset]\n\t"
      "vmla.s32 q0, q1, %[b_factor]\n\t"
      "vqshl.s32 q0, %[shift]\n\t"
      "vshr.s32 q0, q0, #24\n\t"
      "vstrb.32 q0, [%[output]], #4\n\t"
      "letp lr, 1b\n\t"
      "2:\n\t"
      : [a] "+l"(a), [b] "+l"(b), [output] "+l"(output)
      : [elements] "r"(p->elements), [a_factor] "r"(p->a_factor), [b_factor] "r"(p->b_factor),
        [offset] "r"(p->offset), [shift] "r"(p->shift)
      : "lr", "q0", "q1", "q2", "memory");
}

#else

void ek_add_mve(const ek_add_vectors *p, const int8_t *a, const int8_t *b, int8_t *output) {
  for (int32_t i = 0; i < p->elements; i++) {
    const int32_t sum = a[i] * p->a_factor + b[i] * p->b_factor + p->offset;
    output[i] = (int8_t)(ek_saturating_shift(sum, p->shift) >> 24);
  }
}

#endif
