#include "ek_dense_s8.h"

#include "ek_fixed.h"

/* sum(input), which the weights' zero point is multiplied by. */
static int32_t total(const int8_t *input, int32_t count) {
  int32_t sum = 0;
  for (int32_t i = 0; i < count; i++) sum += input[i];
  return sum;
}

static int8_t finish(const ek_dense *p, int32_t output, int32_t sum) {
  const int32_t scaled = ek_rescale(ek_add_wrapping(sum, p->bias[output]), p->multipliers[output],
                                    p->shifts[output]);
  return (int8_t)ek_clamp(ek_add_wrapping(scaled, p->output_zero_point), p->output_min,
                          p->output_max);
}

void ek_dense_s8(const ek_dense *p, const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < p->rows; row++) {
    const int8_t *weights = p->weights;
    const int32_t offset =
        p->weight_zero_point ? -p->weight_zero_point * total(input, p->inputs) : 0;
    int32_t o = 0;
    for (; o + 2 <= p->outputs; o += 2, weights += 2 * p->inputs) {
      const int8_t *second = weights + p->inputs;
      int32_t sum_a = offset, sum_b = offset;
      for (int32_t i = 0; i < p->inputs; i++) {
        sum_a += weights[i] * input[i];
        sum_b += second[i] * input[i];
      }
      output[o] = finish(p, o, sum_a);
      output[o + 1] = finish(p, o + 1, sum_b);
    }
    if (o < p->outputs) {
      int32_t sum = offset;
      for (int32_t i = 0; i < p->inputs; i++) sum += weights[i] * input[i];
      output[o] = finish(p, o, sum);
    }
    input += p->inputs;
    output += p->outputs;
  }
}
