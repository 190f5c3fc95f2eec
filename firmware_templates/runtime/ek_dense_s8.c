#include "ek_dense_s8.h"

#include "ek_fixed.h"
#include "ek_products.h"

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
        p->weight_zero_point ? -p->weight_zero_point * ek_sum(input, p->inputs) : 0;
    for (int32_t o = 0; o < p->outputs; o += 2, weights += 2 * p->inputs) {
      const int is_last = o + 1 == p->outputs; /* of an odd number: computed twice */
      int32_t sums[2] = {offset, offset};
      ek_add_products_1x2(input, weights, is_last ? weights : weights + p->inputs, p->inputs, sums);
      output[o] = finish(p, o, sums[0]);
      if (!is_last) output[o + 1] = finish(p, o + 1, sums[1]);
    }
    input += p->inputs;
    output += p->outputs;
  }
}
