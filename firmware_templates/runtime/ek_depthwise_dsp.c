/* One pixel at a time, and over its window four channels at a time: a word of the image holds a tap of
 * each, which two SXTB16 spread over halfwords. Weights are times 2^k, k up to 8, which fills the
 * accumulators for the high multiplication that ends them. */
#include "ek_depthwise_dsp.h"

#include <stddef.h>

#include "ek_mem.h"
#include "ek_packed.h"

#define FOUR 4 /* channels */

/* Copies count bytes, at least 4: calling memcpy would take longer. The last word may be written twice. */
static void copy(int8_t *to, const int8_t *from, int32_t count) {
  const int8_t *const last = from + count - 4;
  int8_t *const last_to = to + count - 4;
  for (; from < last; from += 4, to += 4) ek_store_word(to, ek_load_word(from));
  ek_store_word(last_to, ek_load_word(last));
}

/* The window whose first tap is (row, column), its pixels one after the other. */
static void gather(const ek_depthwise_packed *p, const int8_t *input, int32_t row, int32_t column,
                   int8_t *window) {
  const int32_t depth = p->input_channels;
  for (int32_t y = row; y < row + p->kernel_height; y++) {
    for (int32_t x = column; x < column + p->kernel_width; x++, window += depth) {
      if (y < 0 || y >= p->input_height || x < 0 || x >= p->input_width) {
        memset(window, p->input_zero_point, (size_t)depth);
      } else {
        copy(window, input + (y * p->input_width + x) * depth, depth);
      }
    }
  }
}

/* The sums of four channels. */
typedef struct {
  int32_t s0, s1, s2, s3;
} sums;

#if defined(__ARM_FEATURE_DSP)

/* A tap's products. Thirteen registers: compilers, left alone, spill. */
#define TAP                               \
  "ldrd %[w], %[v], [%[weights]], #8\n\t"  \
  "sxtb16 %[even], %[odd]\n\t"            \
  "sxtb16 %[odd], %[odd], ror #8\n\t"     \
  "smlabb %[s0], %[even], %[w], %[s0]\n\t" \
  "smlatt %[s2], %[even], %[w], %[s2]\n\t" \
  "smlabb %[s1], %[odd], %[v], %[s1]\n\t" \
  "smlatt %[s3], %[odd], %[v], %[s3]\n\t"

/* Adds a row of the window: `taps` pixels, the first at x. */
static inline void add_row(sums *s, const int8_t *x, int32_t depth, int32_t taps,
                           const int32_t **weights) {
  int32_t even, odd, w, v;
  __asm volatile(
      "1:\n\t"
      "ldr %[odd], [%[x]]\n\t"
      "add %[x], %[depth]\n\t" TAP
      "subs %[taps], #1\n\t"
      "bne 1b\n\t"
      : [x] "+r"(x), [weights] "+r"(*weights), [s0] "+r"(s->s0), [s1] "+r"(s->s1),
        [s2] "+r"(s->s2), [s3] "+r"(s->s3), [taps] "+r"(taps), [even] "=&r"(even),
        [odd] "=&r"(odd), [w] "=&r"(w), [v] "=&r"(v)
      : [depth] "r"(depth)
      : "memory", "cc");
}

/* Adds a row of three pixels, the first at x. */
static inline void add_three(sums *s, const int8_t *x, int32_t depth, const int32_t **weights) {
  int32_t even, odd, w, v;
  __asm volatile(
      "ldr %[odd], [%[x]]\n\t" TAP
      "ldr %[odd], [%[x], %[depth]]\n\t" TAP
      "ldr %[odd], [%[x], %[depth], lsl #1]\n\t" TAP
      : [weights] "+r"(*weights), [s0] "+r"(s->s0), [s1] "+r"(s->s1), [s2] "+r"(s->s2),
        [s3] "+r"(s->s3), [even] "=&r"(even), [odd] "=&r"(odd), [w] "=&r"(w), [v] "=&r"(v)
      : [x] "r"(x), [depth] "r"(depth)
      : "memory");
}

#else

static inline void add_row(sums *s, const int8_t *x, int32_t depth, int32_t taps,
                           const int32_t **weights) {
  for (; taps > 0; taps--, x += depth, *weights += 2) {
    const uint32_t even = ek_sxtb16(ek_load_word(x)), odd = ek_sxtb16_odd(ek_load_word(x));
    const uint32_t w = (uint32_t)(*weights)[0], v = (uint32_t)(*weights)[1];
    s->s0 = ek_smlabb(even, w, s->s0);
    s->s2 = ek_smlatt(even, w, s->s2);
    s->s1 = ek_smlabb(odd, v, s->s1);
    s->s3 = ek_smlatt(odd, v, s->s3);
  }
}

static inline void add_three(sums *s, const int8_t *x, int32_t depth, const int32_t **weights) {
  add_row(s, x, depth, 3, weights);
}

#endif

/* Four outputs as the bytes of a word; w: multipliers, offsets and shifts. */
static inline uint32_t finish_once(const sums *s, const int32_t *w) {
  const uint32_t y0 = (uint8_t)ek_finish_once(s->s0, w[0], w[1], w[8]);
  const uint32_t y1 = (uint8_t)ek_finish_once(s->s1, w[2], w[3], w[9]);
  const uint32_t y2 = (uint8_t)ek_finish_once(s->s2, w[4], w[5], w[10]);
  const uint32_t y3 = (uint8_t)ek_finish_once(s->s3, w[6], w[7], w[11]);
  return y0 | y1 << 8 | y2 << 16 | y3 << 24;
}

static inline uint32_t finish_twice(const sums *s, const int32_t *w) {
  const uint32_t y0 = (uint8_t)ek_finish_twice(s->s0, w[0], w[1], w[8]);
  const uint32_t y1 = (uint8_t)ek_finish_twice(s->s1, w[2], w[3], w[9]);
  const uint32_t y2 = (uint8_t)ek_finish_twice(s->s2, w[4], w[5], w[10]);
  const uint32_t y3 = (uint8_t)ek_finish_twice(s->s3, w[6], w[7], w[11]);
  return y0 | y1 << 8 | y2 << 16 | y3 << 24;
}

/* All input channels of one pixel, once. x: its window's first tap; row: bytes from row to row of the
 * window; apart: bytes from output to output. Returns the weights of the next copy. */
static const int32_t *channels(const ek_depthwise_packed *p, const int8_t *x, int32_t row,
                               const int32_t *weights, int8_t *output, int32_t apart) {
  const int32_t depth = p->input_channels, taps = p->kernel_width;
  for (int32_t left = depth; left > 0;) {
    sums s = {weights[0], weights[1], weights[2], weights[3]};
    weights += FOUR;
    const int8_t *from = x;
    for (int32_t i = p->kernel_height; i > 0; i--, from += row) {
      if (taps == 3) {
        add_three(&s, from, depth, &weights);
      } else {
        add_row(&s, from, depth, taps, &weights);
      }
    }
    const uint32_t word = p->rounds_twice ? finish_twice(&s, weights) : finish_once(&s, weights);
    weights += 3 * FOUR;
    if (apart == 1) {
      ek_store_word(output, word);
    } else {
      for (int32_t c = 0; c < FOUR; c++) output[c * apart] = (int8_t)(word >> (8 * c));
    }
    left -= FOUR;
    const int32_t step = left >= FOUR || left == 0 ? FOUR : left; /* the last four may overlap */
    x += step, output += step * apart;
    if (left > 0 && left < FOUR) left = FOUR;
  }
  return weights;
}

/* All outputs of one pixel. */
static void pixel(const ek_depthwise_packed *p, const int8_t *x, int32_t row, int8_t *output) {
  const int32_t *weights = p->weights;
  for (int32_t copy = 0; copy < p->multiplier; copy++) {
    weights = channels(p, x, row, weights, output + copy, p->multiplier);
  }
}

void ek_depthwise_dsp(const ek_depthwise_packed *p, const int8_t *input, int8_t *output,
                      void *scratch) {
  const int32_t depth = p->input_channels, line = p->input_width * depth;
  for (int32_t n = 0; n < p->batches; n++, input += p->input_height * line) {
    for (int32_t y = 0; y < p->output_height; y++) {
      const int32_t row = y * p->stride_height - p->pad_top;
      const int is_between = row >= 0 && row + p->kernel_height <= p->input_height;
      int32_t column = -p->pad_left;
      for (int32_t x = 0; x < p->output_width; x++, column += p->stride_width) {
        if (is_between && column >= 0 && column + p->kernel_width <= p->input_width) {
          pixel(p, input + row * line + column * depth, line, output);
        } else {
          gather(p, input, row, column, scratch);
          pixel(p, scratch, p->kernel_width * depth, output);
        }
        output += depth * p->multiplier;
      }
    }
  }
}
