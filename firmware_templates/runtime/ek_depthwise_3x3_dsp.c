/* Strips of two output columns, from top to bottom: four channels' input columns x0 x1 x2 x3 are spread
 * into a buffer, for each row and channel the halfwords E = (x0, x2) and O = (x1, x3). Then one channel
 * at a time, its weights in registers, a row adds
 *
 *     E * (w0, w2) + x1 * w1   to the left output,
 *     O * (w0, w2) + x2 * w1   to the right one:
 *
 * two instructions for three products. Two rows of outputs are computed together.
 *
 * A strip's input is read before the strip to its left is written, so the output may be the input. */
#include "ek_depthwise_3x3_dsp.h"

#include "ek_packed.h"

#define TAPS 3
#define CHANNELS 4             /* of a strip */
#define ROW (2 * CHANNELS)     /* words: E O of each channel */
#define STREAM_WORDS 9         /* of a channel */

enum border { INSIDE, LEFT_OUTSIDE, RIGHT_OUTSIDE };

/* Spreads rows of four columns; a column outside reads `zero`. */
static inline __attribute__((always_inline)) void spread(const int8_t *from, int32_t line,
                                                         int32_t depth, uint32_t zero,
                                                         uint32_t *to, const uint32_t *end,
                                                         enum border border) {
  for (const int32_t last = 3 * depth; to != end; to += ROW, from += line) {
    const uint32_t a = border == LEFT_OUTSIDE ? zero : ek_load_word(from);
    const uint32_t b = ek_load_word(from + depth), c = ek_load_word(from + 2 * depth);
    const uint32_t d = border == RIGHT_OUTSIDE ? zero : ek_load_word(from + last);
    const uint32_t a02 = ek_sxtb16(a), a13 = ek_sxtb16_odd(a);
    const uint32_t b02 = ek_sxtb16(b), b13 = ek_sxtb16_odd(b);
    const uint32_t c02 = ek_sxtb16(c), c13 = ek_sxtb16_odd(c);
    const uint32_t d02 = ek_sxtb16(d), d13 = ek_sxtb16_odd(d);
    to[0] = ek_low_halves(a02, c02);
    to[1] = ek_low_halves(b02, d02);
    to[2] = ek_low_halves(a13, c13);
    to[3] = ek_low_halves(b13, d13);
    to[4] = ek_high_halves(a02, c02);
    to[5] = ek_high_halves(b02, d02);
    to[6] = ek_high_halves(a13, c13);
    to[7] = ek_high_halves(b13, d13);
  }
}

/* The strip whose first input column is `column`; rows outside the image lie ready in the buffer. */
static void fill(const ek_depthwise_3x3 *p, const int8_t *input, int32_t column, uint32_t *strip) {
  const int32_t depth = p->input_channels, line = p->input_width * depth;
  const int32_t bottom = p->pad_top + p->input_height;
  const int32_t rows = p->output_height + TAPS - 1;
  const uint32_t zero = (uint8_t)p->input_zero_point * 0x01010101u;
  const int8_t *from = input + column * depth;
  uint32_t *const to = strip + p->pad_top * ROW;
  const uint32_t *const end = strip + (bottom < rows ? bottom : rows) * ROW;
  if (column < 0) {
    spread(from, line, depth, zero, to, end, LEFT_OUTSIDE);
  } else if (column + TAPS >= p->input_width) {
    spread(from, line, depth, zero, to, end, RIGHT_OUTSIDE);
  } else {
    spread(from, line, depth, zero, to, end, INSIDE);
  }
}

#if defined(__ARM_FEATURE_DSP)

#pragma GCC diagnostic ignored "-Wunused-parameter" /* they are registers here */

/* Registers: r0 rows of the strip, r1 output, r2 bytes to the next column; r3 r4 the upper two sums, r5
 * r6 the lower two; r7 E and r8 O of a row; weights in r9 (w00, w02), r10 (w10, w12), r11 (w20, w22),
 * r12 (w01, w11) and r14 (w21, blocks left). Stack: 0 multiplier, 4 offset, 8 shift, 12 bytes to the next
 * row, 16 bias, 20 output and 24 rows of the next channel, 28 channels left; 72 weights, 76 blocks. */
#define UPPER(pair, w, half)      \
  "smlad r3, r7, " pair ", r3\n\t" \
  "smlad r4, r8, " pair ", r4\n\t" \
  "smlab" half " r3, r8, " w ", r3\n\t" \
  "smlat" half " r4, r7, " w ", r4\n\t"
#define LOWER(pair, w, half)      \
  "smlad r5, r7, " pair ", r5\n\t" \
  "smlad r6, r8, " pair ", r6\n\t" \
  "smlab" half " r5, r8, " w ", r5\n\t" \
  "smlat" half " r6, r7, " w ", r6\n\t"
#define FINISH_ONCE(sum) "smmla " sum ", " sum ", r7, r8\n\t"
#define SHIFT_ONCE(sum) \
  "asr " sum ", " sum ", r7\n\t" \
  "ssat " sum ", #8, " sum "\n\t"
#define FINISH_TWICE(sum) \
  "smmulr " sum ", " sum ", r7\n\t" \
  "add " sum ", " sum ", " sum ", asr #31\n\t"
#define SHIFT_TWICE(sum) \
  "asr " sum ", " sum ", r7\n\t" \
  "add " sum ", " sum ", r8\n\t" \
  "ssat " sum ", #8, " sum ", asr #1\n\t"

#define STRIP(finish)                                                                              \
  __asm(                                                                                           \
      "push {r4-r11, lr}\n\t"                                                                      \
      "sub sp, #36\n\t"                                                                            \
      "str r3, [sp, #12]\n\t"                                                                      \
      "strd r1, r0, [sp, #20]\n\t"                                                                 \
      "ldr r3, [sp, #76]\n\t"                                                                      \
      "sub r3, #1\n\t"                                                                             \
      "lsl r3, #16\n\t"                                                                            \
      "str r3, [sp, #76]\n\t"                                                                      \
      "movs r3, #4\n\t"                                                                            \
      "str r3, [sp, #28]\n\t"                                                                      \
      "1:\n\t" /* a channel */                                                                     \
      "ldr r7, [sp, #72]\n\t"                                                                      \
      "ldmia r7!, {r3, r4, r5, r6, r9, r10, r11, r12, r14}\n\t"                                    \
      "str r7, [sp, #72]\n\t"                                                                      \
      "strd r3, r4, [sp]\n\t"                                                                      \
      "str r5, [sp, #8]\n\t"                                                                       \
      "str r6, [sp, #16]\n\t"                                                                      \
      "ldr r7, [sp, #76]\n\t"                                                                      \
      "orr r14, r7\n\t"                                                                            \
      "ldrd r1, r0, [sp, #20]\n\t"                                                                 \
      "add r7, r1, #1\n\t"                                                                         \
      "add r8, r0, #8\n\t"                                                                         \
      "strd r7, r8, [sp, #20]\n\t"                                                                 \
      "2:\n\t" /* two rows of outputs */                                                           \
      "ldr r5, [sp, #16]\n\t"                                                                      \
      "ldrd r7, r8, [r0], #64\n\t"                                                                 \
      "smlad r3, r7, r9, r5\n\t"                                                                   \
      "smlad r4, r8, r9, r5\n\t"                                                                   \
      "smlabb r3, r8, r12, r3\n\t"                                                                 \
      "smlatb r4, r7, r12, r4\n\t"                                                                 \
      "ldrd r7, r8, [r0, #-32]\n\t" UPPER("r10", "r12", "t")                                       \
      "smlad r6, r8, r9, r5\n\t"                                                                   \
      "smlad r5, r7, r9, r5\n\t"                                                                   \
      "smlabb r5, r8, r12, r5\n\t"                                                                 \
      "smlatb r6, r7, r12, r6\n\t"                                                                 \
      "ldrd r7, r8, [r0]\n\t" UPPER("r11", "r14", "b") LOWER("r10", "r12", "t")                    \
      "ldrd r7, r8, [r0, #32]\n\t" LOWER("r11", "r14", "b") finish                                 \
      "strb r3, [r1]\n\t"                                                                          \
      "strb r4, [r1, r2]\n\t"                                                                      \
      "add r1, r8\n\t"                                                                             \
      "strb r5, [r1]\n\t"                                                                          \
      "strb r6, [r1, r2]\n\t"                                                                      \
      "add r1, r8\n\t"                                                                             \
      "subs r14, #0x10000\n\t"                                                                     \
      "bpl 2b\n\t"                                                                                 \
      "ldr r7, [sp, #28]\n\t"                                                                      \
      "subs r7, #1\n\t"                                                                            \
      "str r7, [sp, #28]\n\t"                                                                      \
      "bne 1b\n\t"                                                                                 \
      "add sp, #36\n\t"                                                                            \
      "pop {r4-r11, pc}\n\t")

/* Four channels of blocks of two by two outputs, one below the other. column, row: bytes to the next
 * output column and row. */
__attribute__((naked, noinline)) static void strip_once(const uint32_t *rows, int8_t *output,
                                                        int32_t column, int32_t row,
                                                        const int32_t *weights, int32_t blocks) {
  STRIP("ldrd r7, r8, [sp]\n\t" FINISH_ONCE("r3") FINISH_ONCE("r4") FINISH_ONCE("r5")
            FINISH_ONCE("r6")
        "ldrd r7, r8, [sp, #8]\n\t" SHIFT_ONCE("r3") SHIFT_ONCE("r4") SHIFT_ONCE("r5")
            SHIFT_ONCE("r6"));
}

__attribute__((naked, noinline)) static void strip_twice(const uint32_t *rows, int8_t *output,
                                                         int32_t column, int32_t row,
                                                         const int32_t *weights, int32_t blocks) {
  STRIP("ldr r7, [sp]\n\t" FINISH_TWICE("r3") FINISH_TWICE("r4") FINISH_TWICE("r5")
            FINISH_TWICE("r6")
        "ldrd r8, r7, [sp, #4]\n\t" SHIFT_TWICE("r3") SHIFT_TWICE("r4") SHIFT_TWICE("r5")
            SHIFT_TWICE("r6")
        "ldr r8, [sp, #12]\n\t");
}

static void strip(const ek_depthwise_3x3 *p, const uint32_t *rows, int8_t *output,
                  const int32_t *weights, int32_t blocks) {
  const int32_t depth = p->input_channels, line = p->output_width * depth;
  if (p->rounds_twice) {
    strip_twice(rows, output, depth, line, weights, blocks);
  } else {
    strip_once(rows, output, depth, line, weights, blocks);
  }
}

#else

/* One output: `rows` points to E and O of its first row, its pixels are those at x and two more. */
static int8_t output_at(const ek_depthwise_3x3 *p, const uint32_t *rows, int is_right,
                        const int32_t *weights) {
  const uint32_t *w = (const uint32_t *)weights + 4;
  const uint32_t middle[TAPS] = {w[3], w[3] >> 16, w[4]};
  int32_t sum = weights[3];
  for (int32_t i = 0; i < TAPS; i++, rows += ROW) {
    sum = ek_smlad(rows[is_right], w[i], sum);
    sum = ek_smlabb(is_right ? rows[0] >> 16 : rows[1], middle[i], sum);
  }
  return p->rounds_twice ? ek_finish_twice(sum, weights[0], weights[1], weights[2])
                         : ek_finish_once(sum, weights[0], weights[1], weights[2]);
}

/* Four channels of blocks of two by two outputs, one below the other. */
static void strip(const ek_depthwise_3x3 *p, const uint32_t *rows, int8_t *output,
                  const int32_t *weights, int32_t blocks) {
  const int32_t depth = p->input_channels, line = p->output_width * depth;
  for (int32_t y = 0; y < 2 * blocks; y++, rows += ROW, output += line) {
    for (int32_t c = 0; c < CHANNELS; c++) {
      const int32_t *const w = weights + c * STREAM_WORDS;
      output[c] = output_at(p, rows + 2 * c, 0, w);
      output[depth + c] = output_at(p, rows + 2 * c, 1, w);
    }
  }
}

#endif

/* Four channels of an image. An odd last row or column is computed with the one before it, again. */
static void plane(const ek_depthwise_3x3 *p, const int8_t *input, int8_t *output,
                  const int32_t *weights, uint32_t *now, uint32_t *next) {
  const int32_t depth = p->input_channels, height = p->output_height;
  const int32_t last = p->output_width - 2;
  fill(p, input, -p->pad_left, now);
  for (int32_t x = 0;;) {
    const int32_t after = x + 2 < last ? x + 2 : last;
    if (x != last) fill(p, input, after - p->pad_left, next);
    strip(p, now, output + x * depth, weights, height / 2);
    if (height % 2) {
      strip(p, now + (height - 2) * ROW, output + ((height - 2) * p->output_width + x) * depth,
            weights, 1);
    }
    if (x == last) return;
    uint32_t *const done = now;
    now = next, next = done, x = after;
  }
}

void ek_depthwise_3x3_dsp(const ek_depthwise_3x3 *p, const int8_t *input, int8_t *output,
                          void *scratch) {
  const int32_t strip_words = (p->output_height + TAPS - 1) * ROW;
  const uint32_t zero = (uint16_t)p->input_zero_point * 0x00010001u;
  uint32_t *const strips = scratch;
  for (int32_t i = 0; i < 2 * strip_words; i++) strips[i] = zero;
  for (int32_t n = 0; n < p->batches; n++) {
    for (int32_t c = 0; c < p->input_channels; c += CHANNELS) {
      plane(p, input + c, output + c, p->weights + c * STREAM_WORDS, strips, strips + strip_words);
    }
    input += p->input_height * p->input_width * p->input_channels;
    output += p->output_height * p->output_width * p->input_channels;
  }
}
