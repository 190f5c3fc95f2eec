#include "ek_mean_dsp.h"

#include "ek_fixed.h"
#include "ek_four_sums.h"

/* Four channels, the first at x. */
static void four(const ek_mean_pixels *p, const int8_t *x, int8_t *output) {
  int32_t totals[4] = {p->bias, p->bias, p->bias, p->bias};
  for (int32_t left = p->pixels; left > 0;) {
    const int32_t count = left < EK_FOUR_SUMS_PIXELS ? left : EK_FOUR_SUMS_PIXELS;
    const ek_four_sums sums = ek_add_pixels((ek_four_sums){0, 0}, x, p->channels, count);
    for (int32_t k = 0; k < 4; k++) totals[k] += ek_sum_of(sums, k);
    left -= count, x += count * p->channels;
  }
  for (int32_t k = 0; k < 4; k++) {
    const int32_t scaled = ek_rescale(totals[k], p->multiplier, p->shift);
    const int32_t value = ek_add_wrapping(scaled, p->output_zero_point);
    output[k] = (int8_t)ek_clamp(value, INT8_MIN, INT8_MAX);
  }
}

void ek_mean_dsp(const ek_mean_pixels *p, const int8_t *input, int8_t *output) {
  for (int32_t n = 0; n < p->batches; n++, input += p->pixels * p->channels) {
    for (int32_t c = 0; c < p->channels; c += 4) {
      const int32_t first = c + 4 <= p->channels ? c : p->channels - 4; /* may overlap */
      four(p, input + first, output + first);
    }
    output += p->channels;
  }
}
