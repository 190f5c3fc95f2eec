#include "ek_dense_mve.h"

#include "ek_vector.h"

#define OUTPUTS 4 /* at a time */

#if defined(__ARM_FEATURE_MVE)

/* Up to four outputs of one row of the input; returns the weights of the next. The sums lie in even
 * registers, as VMLADAVA wants them. */
static inline const int32_t *four_outputs(const ek_dense_vectors *p, const int8_t *input,
                                          const int32_t *weights, int32_t count, int8_t *output) {
  register int32_t first __asm("r0"), second __asm("r2"), third __asm("r4"), fourth __asm("r6");
  __asm volatile(
      "ldm %[weights]!, {r0, r2, r4, r6}\n\t"
      "dlstp.8 lr, %[inputs]\n\t"
      "1: vldrb.8 q0, [%[input]], #16\n\t"
      "vldrb.8 q1, [%[weights]], #16\n\t"
      "vmladava.s8 r0, q0, q1\n\t"
      "vldrb.8 q2, [%[weights]], #16\n\t"
      "vmladava.s8 r2, q0, q2\n\t"
      "vldrb.8 q1, [%[weights]], #16\n\t"
      "vmladava.s8 r4, q0, q1\n\t"
      "vldrb.8 q2, [%[weights]], #16\n\t"
      "vmladava.s8 r6, q0, q2\n\t"
      "letp lr, 1b\n\t"
      "vmov q0[2], q0[0], r0, r4\n\t"
      "vmov q0[3], q0[1], r2, r6\n\t"
      "vldrw.32 q1, [%[weights]], #16\n\t"
      "vqrdmulh.s32 q0, q0, q1\n\t"
      "mvn r0, #0\n\t"
      "vpt.s32 lt, q0, zr\n\t"
      "vaddt.i32 q0, q0, r0\n\t"
      "vldrw.32 q1, [%[weights]], #16\n\t"
      "vadd.i32 q0, q0, q1\n\t"
      "vldrw.32 q1, [%[weights]], #16\n\t"
      "vqshl.s32 q0, q0, q1\n\t"
      "vshr.s32 q0, q0, #24\n\t"
      "vdup.32 q1, %[low]\n\t"
      "vmax.s32 q0, q0, q1\n\t"
      "vdup.32 q1, %[high]\n\t"
      "vmin.s32 q0, q0, q1\n\t"
      "vctp.32 %[count]\n\t"
      "vpst\n\t"
      "vstrbt.32 q0, [%[output]]\n\t"
      : [weights] "+r"(weights), [input] "+r"(input), "=&r"(first), "=&r"(second), "=&r"(third),
        "=&r"(fourth)
      : [inputs] "r"(p->inputs), [low] "r"(p->output_min), [high] "r"(p->output_max),
        [count] "r"(count), [output] "l"(output)
      : "lr", "q0", "q1", "q2", "memory");
  return weights;
}

#else

/* Up to four outputs of one row of the input; returns the weights of the next. */
static const int32_t *four_outputs(const ek_dense_vectors *p, const int8_t *input,
                                   const int32_t *weights, int32_t count, int8_t *output) {
  const int8_t *const vectors = (const int8_t *)(weights + OUTPUTS);
  const int32_t steps = (p->inputs + EK_VECTOR - 1) / EK_VECTOR;
  const int32_t *const rest = weights + OUTPUTS + steps * OUTPUTS * EK_VECTOR / 4;
  for (int32_t k = 0; k < count; k++) {
    const ek_top_byte finish = {weights[k], rest[k], rest[OUTPUTS + k], rest[2 * OUTPUTS + k]};
    int32_t sum = 0;
    for (int32_t i = 0; i < p->inputs; i += EK_VECTOR) {
      const int32_t left = p->inputs - i;
      sum += ek_dot(input + i, vectors + OUTPUTS * i + k * EK_VECTOR,
                    left < EK_VECTOR ? left : EK_VECTOR);
    }
    output[k] = (int8_t)ek_clamp(ek_top_byte_of(sum, &finish, p->is_plain), p->output_min,
                                 p->output_max);
  }
  return rest + 3 * OUTPUTS;
}

#endif

void ek_dense_mve(const ek_dense_vectors *p, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < p->rows; row++, input += p->inputs) {
    const int32_t *weights = p->weights;
    for (int32_t left = p->outputs; left > 0; left -= OUTPUTS) {
      const int32_t count = left < OUTPUTS ? left : OUTPUTS;
      weights = four_outputs(p, input, weights, count, output);
      output += count;
    }
  }
}
