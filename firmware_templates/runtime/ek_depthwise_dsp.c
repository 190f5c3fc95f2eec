/* One pixel at a time, and over its window four channels at a time: a word of the image holds a tap of
 * each, which two SXTB16 spread over halfwords. Weights are times 2^k, k up to 8, which fills the
 * accumulators for the one high multiplication that ends them. */
#include "ek_depthwise_dsp.h"

#include "ek_packed.h"

#define TAPS 3
#define STREAM_WORDS (4 + 2 * TAPS * TAPS + 4 * 3) /* of four channels */

/* Copies count bytes, a multiple of 4: calling memcpy would take longer. */
static void copy_words(int8_t *to, const int8_t *from, int32_t count) {
  for (const int8_t *const end = from + count; from != end; from += 4, to += 4) {
    ek_store_word(to, ek_load_word(from));
  }
}

/* The same byte count times, a multiple of 4. */
static void fill_words(int8_t *to, int32_t byte, int32_t count) {
  const uint32_t word = (uint8_t)byte * 0x01010101u;
  for (int8_t *const end = to + count; to != end; to += 4) ek_store_word(to, word);
}

/* The window whose first tap is (row, column), its pixels one after the other. */
static void gather(const ek_depthwise_packed *p, const int8_t *input, int32_t row, int32_t column,
                   int8_t *window) {
  const int32_t depth = p->input_channels;
  for (int32_t y = row; y < row + TAPS; y++) {
    for (int32_t x = column; x < column + TAPS; x++, window += depth) {
      if (y < 0 || y >= p->input_height || x < 0 || x >= p->input_width) {
        fill_words(window, p->input_zero_point, depth);
      } else {
        copy_words(window, input + (y * p->input_width + x) * depth, depth);
      }
    }
  }
}

#if defined(__ARM_FEATURE_DSP)

/* One tap of four channels: `from` is how its word is addressed. */
#define TAP(from)                       \
  "ldr %[odd], " from "\n\t"            \
  "ldrd %[w], %[v], [%[weights]], #8\n\t" \
  "sxtb16 %[even], %[odd]\n\t"          \
  "sxtb16 %[odd], %[odd], ror #8\n\t"   \
  "smlabb %[s0], %[even], %[w], %[s0]\n\t" \
  "smlatt %[s2], %[even], %[w], %[s2]\n\t" \
  "smlabb %[s1], %[odd], %[v], %[s1]\n\t" \
  "smlatt %[s3], %[odd], %[v], %[s3]\n\t"
/* A row of the window; its first tap comes last and moves on to the next four channels. */
#define ROW(x) TAP("[" x ", %[depth]]") TAP("[" x ", %[depth], lsl #1]") TAP("[" x "], #4")
/* A sum times its multiplier, high half, plus its offset. */
#define SCALE(sum) \
  "ldrd %[w], %[v], [%[weights]], #8\n\t" \
  "smmla " sum ", " sum ", %[w], %[v]\n\t"
#define SHIFT(first, second)            \
  "ldrd %[w], %[v], [%[weights]], #8\n\t" \
  "asr " first ", " first ", %[w]\n\t"  \
  "asr " second ", " second ", %[v]\n\t" \
  "ssat " first ", #8, " first "\n\t"   \
  "ssat " second ", #8, " second "\n\t"

/* All channels of one pixel. x: its window's first tap; row: bytes from row to row of the window.
 * Thirteen registers: compilers, left alone, spill. */
static void pixel(const int8_t *x, int32_t row, int32_t depth, const int32_t *weights,
                  int8_t *output) {
  const int8_t *y = x + row, *z = y + row;
  for (const int8_t *const end = x + depth; x != end; output += 4) {
    int32_t s0, s1, s2, s3, even, odd, w, v;
    __asm volatile(
        "ldrd %[s0], %[s1], [%[weights]], #8\n\t"
        "ldrd %[s2], %[s3], [%[weights]], #8\n\t"
        ROW("%[x]") ROW("%[y]") ROW("%[z]")
        SCALE("%[s0]") SCALE("%[s1]") SCALE("%[s2]") SCALE("%[s3]")
        SHIFT("%[s0]", "%[s1]") SHIFT("%[s2]", "%[s3]")
        "bfi %[s0], %[s1], #8, #8\n\t"
        "bfi %[s2], %[s3], #8, #8\n\t"
        "pkhbt %[s0], %[s0], %[s2], lsl #16\n\t"
        : [x] "+r"(x), [y] "+r"(y), [z] "+r"(z), [weights] "+r"(weights), [s0] "=&r"(s0),
          [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3), [even] "=&r"(even), [odd] "=&r"(odd),
          [w] "=&r"(w), [v] "=&r"(v)
        : [depth] "r"(depth)
        : "memory");
    ek_store_word(output, (uint32_t)s0);
  }
}

#else

/* All channels of one pixel. x: its window's first tap; row: bytes from row to row of the window. */
static void pixel(const int8_t *x, int32_t row, int32_t depth, const int32_t *weights,
                  int8_t *output) {
  static const int8_t columns[TAPS] = {1, 2, 0}; /* the order of the weights */
  for (const int8_t *const end = x + depth; x != end;
       x += 4, output += 4, weights += STREAM_WORDS) {
    const int32_t *words = weights + 4, *finish = words + 2 * TAPS * TAPS;
    int32_t sums[4] = {weights[0], weights[1], weights[2], weights[3]};
    for (int32_t i = 0; i < TAPS; i++) {
      for (int32_t j = 0; j < TAPS; j++, words += 2) {
        const uint32_t word = ek_load_word(x + i * row + columns[j] * depth);
        const uint32_t even = ek_sxtb16(word), odd = ek_sxtb16(word >> 8);
        sums[0] = ek_smlabb(even, (uint32_t)words[0], sums[0]);
        sums[2] = ek_smlatt(even, (uint32_t)words[0], sums[2]);
        sums[1] = ek_smlabb(odd, (uint32_t)words[1], sums[1]);
        sums[3] = ek_smlatt(odd, (uint32_t)words[1], sums[3]);
      }
    }
    for (int32_t c = 0; c < 4; c++) {
      output[c] = ek_finish_once(sums[c], finish[2 * c], finish[2 * c + 1], finish[8 + c]);
    }
  }
}

#endif

void ek_depthwise_dsp(const ek_depthwise_packed *p, const int8_t *input, int8_t *output,
                      void *scratch) {
  const int32_t depth = p->input_channels, line = p->input_width * depth;
  for (int32_t n = 0; n < p->batches; n++, input += p->input_height * line) {
    for (int32_t y = 0; y < p->output_height; y++) {
      const int32_t row = y * p->stride_height - p->pad_top;
      const int is_between = row >= 0 && row + TAPS <= p->input_height;
      int32_t column = -p->pad_left;
      for (int32_t x = 0; x < p->output_width; x++, column += p->stride_width, output += depth) {
        if (is_between && column >= 0 && column + TAPS <= p->input_width) {
          pixel(input + row * line + column * depth, line, depth, p->weights, output);
        } else {
          gather(p, input, row, column, scratch);
          pixel(scratch, TAPS * depth, depth, p->weights, output);
        }
      }
    }
  }
}
