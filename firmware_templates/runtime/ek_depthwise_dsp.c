/* One pixel at a time, and over its window four channels at a time: a word of the image holds a tap of
 * each, which two SXTB16 spread over halfwords. Weights are times 2^k, k up to 8, which fills the
 * accumulators for the high multiplication that ends them. */
#include "ek_depthwise_dsp.h"

#include "ek_packed.h"

#define FOUR 4 /* channels */

/* Copies count bytes, at least 4: calling memcpy would take longer. The last word may be written twice. */
static void copy(int8_t *to, const int8_t *from, int32_t count) {
  const int8_t *const last = from + count - 4;
  int8_t *const last_to = to + count - 4;
  for (; from < last; from += 4, to += 4) ek_store_word(to, ek_load_word(from));
  ek_store_word(last_to, ek_load_word(last));
}

/* The same byte count times, as above. */
static void fill(int8_t *to, int32_t byte, int32_t count) {
  const uint32_t word = (uint8_t)byte * 0x01010101u;
  int8_t *const last = to + count - 4;
  for (; to < last; to += 4) ek_store_word(to, word);
  ek_store_word(last, word);
}

/* The window whose first tap is (row, column), its pixels one after the other. */
static void gather(const ek_depthwise_packed *p, const int8_t *input, int32_t row, int32_t column,
                   int8_t *window) {
  const int32_t depth = p->input_channels;
  for (int32_t y = row; y < row + p->kernel_height; y++) {
    for (int32_t x = column; x < column + p->kernel_width; x++, window += depth) {
      if (y < 0 || y >= p->input_height || x < 0 || x >= p->input_width) {
        fill(window, p->input_zero_point, depth);
      } else {
        copy(window, input + (y * p->input_width + x) * depth, depth);
      }
    }
  }
}

#if defined(__ARM_FEATURE_DSP)

/* A tap's products. */
#define TAP                               \
  "ldrd %[w], %[v], [%[weights]], #8\n\t"  \
  "sxtb16 %[even], %[odd]\n\t"            \
  "sxtb16 %[odd], %[odd], ror #8\n\t"     \
  "smlabb %[s0], %[even], %[w], %[s0]\n\t" \
  "smlatt %[s2], %[even], %[w], %[s2]\n\t" \
  "smlabb %[s1], %[odd], %[v], %[s1]\n\t" \
  "smlatt %[s3], %[odd], %[v], %[s3]\n\t"
#define BIASES                                 \
  "ldrd %[s0], %[s1], [%[weights]], #8\n\t" \
  "ldrd %[s2], %[s3], [%[weights]], #8\n\t"
#define SUMS [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3)
#define SCALE_ONCE(sum) \
  "ldrd %[w], %[v], [%[weights]], #8\n\t" \
  "smmla " sum ", " sum ", %[w], %[v]\n\t"
#define SHIFT_ONCE(first, second)         \
  "ldrd %[w], %[v], [%[weights]], #8\n\t" \
  "asr " first ", " first ", %[w]\n\t"    \
  "asr " second ", " second ", %[v]\n\t"  \
  "ssat " first ", #8, " first "\n\t"     \
  "ssat " second ", #8, " second "\n\t"
/* The offset is the same for all channels and stays in v. */
#define SCALE_TWICE(sum) \
  "ldrd %[w], %[v], [%[weights]], #8\n\t" \
  "smmulr " sum ", " sum ", %[w]\n\t"     \
  "add " sum ", " sum ", " sum ", asr #31\n\t"
#define SHIFT_TWICE(sum) \
  "ldr %[w], [%[weights]], #4\n\t"     \
  "asr " sum ", " sum ", %[w]\n\t"     \
  "add " sum ", " sum ", %[v]\n\t"     \
  "ssat " sum ", #8, " sum ", asr #1\n\t"
#define PACK                              \
  "bfi %[s0], %[s1], #8, #8\n\t"         \
  "bfi %[s2], %[s3], #8, #8\n\t"         \
  "pkhbt %[s0], %[s0], %[s2], lsl #16\n\t"

#define ONCE                                                                                    \
  SCALE_ONCE("%[s0]") SCALE_ONCE("%[s1]") SCALE_ONCE("%[s2]") SCALE_ONCE("%[s3]")               \
      SHIFT_ONCE("%[s0]", "%[s1]") SHIFT_ONCE("%[s2]", "%[s3]") PACK
#define TWICE                                                                                   \
  SCALE_TWICE("%[s0]") SCALE_TWICE("%[s1]") SCALE_TWICE("%[s2]") SCALE_TWICE("%[s3]")           \
      SHIFT_TWICE("%[s0]") SHIFT_TWICE("%[s1]") SHIFT_TWICE("%[s2]") SHIFT_TWICE("%[s3]") PACK

/* A row of a 3x3 window, then on to the next four channels. */
#define ROW(x)                                              \
  "ldr %[odd], [" x "]\n\t" TAP                             \
  "ldr %[odd], [" x ", %[depth]]\n\t" TAP                   \
  "ldr %[odd], [" x ", %[depth], lsl #1]\n\t"               \
  "add " x ", #4\n\t" TAP
#define PIXEL_3X3(finish)                                                                      \
  __asm volatile(BIASES ROW("%[x]") ROW("%[y]") ROW("%[z]") finish                             \
                 : [x] "+r"(x), [y] "+r"(y), [z] "+r"(z), [weights] "+r"(weights), SUMS,       \
                   [even] "=&r"(even), [odd] "=&r"(odd), [w] "=&r"(w), [v] "=&r"(v)            \
                 : [depth] "r"(depth)                                                          \
                 : "memory")

/* All channels, a multiple of 4, of a 3x3 window without copies. x: its first tap; row: bytes from row
 * to row of it. Thirteen registers: compilers, left alone, spill. */
static void pixel_3x3(const ek_depthwise_packed *p, const int8_t *x, int32_t row, int8_t *output) {
  const int32_t depth = p->input_channels, *weights = p->weights;
  const int8_t *y = x + row, *z = y + row;
  const int is_once = !p->rounds_twice;
  for (const int8_t *const end = x + depth; x != end; output += FOUR) {
    int32_t s0, s1, s2, s3, even, odd, w, v;
    if (is_once) {
      PIXEL_3X3(ONCE);
    } else {
      PIXEL_3X3(TWICE);
    }
    ek_store_word(output, (uint32_t)s0);
  }
}

/* Four outputs of any window as the bytes of a word. x: its first tap; row: bytes from row to row of
 * it. Weights move on to the next four. */
static uint32_t four(const ek_depthwise_packed *p, const int8_t *x, int32_t row,
                     const int32_t **weights) {
  const int32_t depth = p->input_channels, taps = p->kernel_width;
  int32_t loops[3] = {taps, row - taps * depth, p->kernel_height}; /* in a row, to the next, rows */
  int32_t s0, s1, s2, s3, even, odd, w, v, left;
  __asm volatile(
      BIASES
      "1:\n\t" /* a row */
      "ldr %[left], [%[loops]]\n\t"
      "2:\n\t" /* a tap */
      "ldr %[odd], [%[x]]\n\t"
      "add %[x], %[depth]\n\t" TAP
      "subs %[left], #1\n\t"
      "bne 2b\n\t"
      "ldrd %[w], %[left], [%[loops], #4]\n\t"
      "add %[x], %[w]\n\t"
      "subs %[left], #1\n\t"
      "str %[left], [%[loops], #8]\n\t"
      "bne 1b\n\t"
      : [x] "+r"(x), [weights] "+r"(*weights), SUMS, [even] "=&r"(even), [odd] "=&r"(odd),
        [w] "=&r"(w), [v] "=&r"(v), [left] "=&r"(left)
      : [depth] "r"(depth), [loops] "r"(loops)
      : "memory", "cc");
  if (p->rounds_twice) {
    __asm volatile(TWICE
                   : [weights] "+r"(*weights), [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2),
                     [s3] "+r"(s3), [w] "=&r"(w), [v] "=&r"(v)
                   :
                   : "memory");
  } else {
    __asm volatile(ONCE
                   : [weights] "+r"(*weights), [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2),
                     [s3] "+r"(s3), [w] "=&r"(w), [v] "=&r"(v)
                   :
                   : "memory");
  }
  return (uint32_t)s0;
}

#else

/* Four outputs as the bytes of a word. x: the window's first tap; row: bytes from row to row of it.
 * Weights move on to the next four. */
static uint32_t four(const ek_depthwise_packed *p, const int8_t *x, int32_t row,
                     const int32_t **weights) {
  const int32_t *w = *weights + FOUR;
  int32_t sums[FOUR] = {w[-4], w[-3], w[-2], w[-1]};
  for (int32_t i = 0; i < p->kernel_height; i++) {
    for (int32_t j = 0; j < p->kernel_width; j++, w += 2) {
      const uint32_t word = ek_load_word(x + i * row + j * p->input_channels);
      const uint32_t even = ek_sxtb16(word), odd = ek_sxtb16_odd(word);
      sums[0] = ek_smlabb(even, (uint32_t)w[0], sums[0]);
      sums[2] = ek_smlatt(even, (uint32_t)w[0], sums[2]);
      sums[1] = ek_smlabb(odd, (uint32_t)w[1], sums[1]);
      sums[3] = ek_smlatt(odd, (uint32_t)w[1], sums[3]);
    }
  }
  uint32_t word = 0;
  for (int32_t c = 0; c < FOUR; c++) {
    const int8_t value =
        p->rounds_twice ? ek_finish_twice(sums[c], w[2 * c], w[2 * c + 1], w[2 * FOUR + c])
                        : ek_finish_once(sums[c], w[2 * c], w[2 * c + 1], w[2 * FOUR + c]);
    word |= (uint32_t)(uint8_t)value << (8 * c);
  }
  *weights = w + 3 * FOUR;
  return word;
}

#endif

/* All input channels of one pixel, once. x: its window's first tap; row: bytes from row to row of the
 * window; apart: bytes from output to output. Returns the weights of the next copy. */
static const int32_t *channels(const ek_depthwise_packed *p, const int8_t *x, int32_t row,
                               const int32_t *weights, int8_t *output, int32_t apart) {
  const int8_t *const last = x + p->input_channels - FOUR;
  for (;;) {
    const uint32_t word = four(p, x, row, &weights);
    if (apart == 1) {
      ek_store_word(output, word);
    } else {
      for (int32_t c = 0; c < FOUR; c++) output[c * apart] = (int8_t)(word >> (8 * c));
    }
    if (x == last) return weights;
    const int32_t step = last - x < FOUR ? (int32_t)(last - x) : FOUR;
    x += step, output += step * apart;
  }
}

/* All outputs of one pixel. */
static void pixel(const ek_depthwise_packed *p, const int8_t *x, int32_t row, int8_t *output) {
#if defined(__ARM_FEATURE_DSP)
  if (p->kernel_height == 3 && p->kernel_width == 3 && p->multiplier == 1 &&
      p->input_channels % FOUR == 0) {
    pixel_3x3(p, x, row, output);
    return;
  }
#endif
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
