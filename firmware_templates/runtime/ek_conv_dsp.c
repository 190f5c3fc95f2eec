/* One panel of three windows at a time, and over it all channels in pairs.
 *
 * A step is four values of a window, bytes x0 x1 x2 x3 of a word. The panel holds two words for it:
 * X, the signed halfwords (x0, x2), and Z, the halfwords -1 - (256 * x1 + x0 + 128) and the same of x3
 * and x2, which is the word with every bit but bits 7 and 23 inverted. Weights lie as halfwords
 * H = 256 * w0 - w1, whose low byte, sign-extended, is -w1. Then
 *
 *     H * x0 - w1 * Z = 256 * w0 * x0 - w1 * x0 + w1 + 256 * w1 * x1 + w1 * x0 + 128 * w1
 *                     = 256 * (w0 * x0 + w1 * x1) + 129 * w1:
 *
 * one word of weights gives both of its operands with one SXTB16 instead of two, and the factor 256
 * fills the accumulator for the one high multiplication that ends it. */
#include "ek_conv_dsp.h"

#include <stddef.h>

#include "ek_mem.h"
#include "ek_packed.h"

#define PIXELS 3
#define STEP_WORDS (2 * PIXELS) /* of the panel: X X X Z Z Z */
#define FLIPPED 0xFF7FFF7Fu     /* the bits in which Z differs from the bytes */

/* Adds steps to the panel, from three windows; returns where it ends. */
static uint32_t *widen(const int8_t *a, const int8_t *b, const int8_t *c, int32_t steps,
                       uint32_t *panel) {
#if defined(__ARM_FEATURE_DSP)
  const int8_t *const end = a + 4 * steps;
  /* Without r7: it may be the frame pointer. */
  __asm volatile(
      "1:\n\t"
      "ldr r8, [%[a]], #4\n\t"
      "ldr r9, [%[b]], #4\n\t"
      "ldr r10, [%[c]], #4\n\t"
      "sxtb16 r4, r8\n\t"
      "sxtb16 r5, r9\n\t"
      "sxtb16 r6, r10\n\t"
      "eor r8, r8, %[flipped]\n\t"
      "eor r9, r9, %[flipped]\n\t"
      "eor r10, r10, %[flipped]\n\t"
      "cmp %[a], %[end]\n\t"
      "stmia %[panel]!, {r4, r5, r6, r8, r9, r10}\n\t"
      "bne 1b\n\t"
      : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [panel] "+r"(panel)
      : [end] "r"(end), [flipped] "r"(FLIPPED)
      : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
#else
  for (; steps > 0; steps--, a += 4, b += 4, c += 4, panel += STEP_WORDS) {
    const uint32_t words[PIXELS] = {ek_load_word(a), ek_load_word(b), ek_load_word(c)};
    for (int32_t k = 0; k < PIXELS; k++) {
      panel[k] = ek_sxtb16(words[k]);
      panel[PIXELS + k] = words[k] ^ FLIPPED;
    }
  }
#endif
  return panel;
}

/* What every panel of a group of channels shares, and the code that computes it: the last three by
 * their places in the table at the end of three_pixels. */
typedef struct {
  const uint32_t *panel;
  int32_t apart; /* output bytes from pixel to pixel */
  uint32_t start;
  uint32_t enter; /* the loop, of eight pairs of steps a round */
  const uint32_t *end; /* of the panel */
  uint32_t finish;
  const int32_t *weights;
} job;

enum { EXIT = 0, START_ONE = 4, START_TWO = 8, FINISH = 12, ENTER = 32 };

/* Of the stream of weights, for a pair of channels. */
static int32_t pair_words(const ek_conv_packed *p) {
  return 2 + 2 * p->steps + (p->shift == 0 ? 8 : 4) + 1;
}

static job job_of(const ek_conv_packed *p, const uint32_t *panel, int32_t apart) {
  const int32_t pairs = (p->steps - 1) / 2; /* of steps, that are left to the loop */
  const uint32_t finish = FINISH + 4 * (p->shift == 0 ? 0u : (uint32_t)(p->shift - 10));
  return (job){.panel = panel,
               .apart = apart,
               .start = p->steps % 2 != 0 ? START_ONE : START_TWO,
               .enter = pairs == 0 ? finish : ENTER + 4 * ((uint32_t)(pairs - 1) & 7u),
               .end = panel + STEP_WORDS * p->steps,
               .finish = finish,
               .weights = p->weights};
}

#if defined(__ARM_FEATURE_DSP)

#pragma GCC diagnostic ignored "-Wunused-parameter" /* they are registers here */
#pragma GCC diagnostic ignored "-Woverlength-strings" /* assembly */

/* Registers: r0 panel, r1 weights, r2 to r4 the sums of the first channel, r5 to r7 of the second,
 * r8 r9 their weights, r10 to r12 and r14 four words of the panel.
 * Stack: the panel, output, apart; then code: 12 start, 16 exit, 20 enter; 24 the panel's end; 28
 * finish. 12 and 16 are EK_CONV_NEXT and EK_CONV_LAST. */
#define LOAD_WEIGHTS "ldrd r8, r9, [r1], #8\n\t"
#define LOAD_THREE "ldmia r0!, {r10, r11, r12}\n\t"
#define LOAD_FOUR "ldmia r0!, {r10, r11, r12, lr}\n\t"
#define LOW_BYTES "sxtb16 r8, r8\n\tsxtb16 r9, r9\n\t"
#define ADD(sum, other, x, to, to_other) \
  "smlad " sum ", r8, " x ", " to "\n\t" \
  "smlad " other ", r9, " x ", " to_other "\n\t"
#define ADD_A(x) ADD("r2", "r5", x, "r2", "r5")
#define ADD_B(x) ADD("r3", "r6", x, "r3", "r6")
#define ADD_C(x) ADD("r4", "r7", x, "r4", "r7")
/* r4 and r7 hold the biases until they become sums themselves. */
#define START_SUMS \
  ADD("r2", "r5", "r10", "r4", "r7") \
  ADD("r3", "r6", "r11", "r4", "r7") ADD_C("r12")
#define REST_OF_TWO_STEPS \
  LOW_BYTES ADD_A("lr") LOAD_FOUR ADD_B("r10") ADD_C("r11") \
  LOAD_WEIGHTS ADD_A("r12") ADD_B("lr") LOAD_FOUR ADD_C("r10") \
  LOW_BYTES ADD_A("r11") ADD_B("r12") ADD_C("lr")
#define TWO_STEPS LOAD_WEIGHTS LOAD_FOUR ADD_A("r10") ADD_B("r11") ADD_C("r12") REST_OF_TWO_STEPS
/* Both channels of each pixel, and on to the next pair or out. */
#define STORE \
  "bfi r2, r5, #8, #8\n\t" \
  "bfi r3, r6, #8, #8\n\t" \
  "bfi r4, r7, #8, #8\n\t" \
  "ldmia sp, {r0, r8, r9}\n\t" \
  "strh r3, [r8, r9]\n\t" \
  "strh r4, [r8, r9, lsl #1]\n\t" \
  "strh r2, [r8], #2\n\t" \
  "str r8, [sp, #4]\n\t" \
  "ldr pc, [sp, r12, lsl #2]\n\t"
#define FINISH_BY(shift) \
  "ldmia r1!, {r8-r12}\n\t" /* multiplier and offset of each channel, which way */ \
  "smmla r2, r2, r8, r9\n\t" \
  "smmla r3, r3, r8, r9\n\t" \
  "smmla r4, r4, r8, r9\n\t" \
  "smmla r5, r5, r10, r11\n\t" \
  "smmla r6, r6, r10, r11\n\t" \
  "smmla r7, r7, r10, r11\n\t" \
  "ssat r2, #8, r2, asr #" shift "\n\t" \
  "ssat r3, #8, r3, asr #" shift "\n\t" \
  "ssat r4, #8, r4, asr #" shift "\n\t" \
  "ssat r5, #8, r5, asr #" shift "\n\t" \
  "ssat r6, #8, r6, asr #" shift "\n\t" \
  "ssat r7, #8, r7, asr #" shift "\n\t" STORE
/* r8 multiplier, r9 offset, r10 jump, r11 shift */
#define FINISH_SIGNED(sum) \
  "smmla lr, " sum ", r8, r9\n\t" \
  "and " sum ", r10, " sum ", asr #31\n\t" \
  "add " sum ", lr\n\t" \
  "asr " sum ", r11\n\t" \
  "ssat " sum ", #8, " sum "\n\t"

/* All channels of a group for three pixels; output: of the first of them. */
__attribute__((naked, noinline)) static void three_pixels(const job *of, int8_t *output) {
  __asm(
      "push {r4-r11, lr}\n\t"
      "ldmia r0, {r2, r4, r5, r7, r8, r9, r10}\n\t"
      "mov r3, r1\n\t"
      "adr lr, 9f\n\t"
      "ldr r5, [lr, r5]\n\t"
      "ldr r6, [lr]\n\t"
      "ldr r7, [lr, r7]\n\t"
      "ldr r9, [lr, r9]\n\t"
      "add r5, lr\n\t"
      "add r6, lr\n\t"
      "add r7, lr\n\t"
      "add r9, lr\n\t"
      "mov r0, r2\n\t"
      "mov r1, r10\n\t"
      "push {r2-r9}\n\t"
      "bx r5\n\t"

      "20: ldmia r1!, {r4, r7, r8, r9}\n\t" /* an odd number of steps: one, then pairs */
      LOAD_THREE START_SUMS LOW_BYTES LOAD_THREE ADD_A("r10") ADD_B("r11") ADD_C("r12")
      "ldr pc, [sp, #20]\n\t"
      "21: ldmia r1!, {r4, r7, r8, r9}\n\t" /* an even number */
      LOAD_FOUR START_SUMS REST_OF_TWO_STEPS
      "ldr pc, [sp, #20]\n\t"

      "38:" TWO_STEPS "37:" TWO_STEPS "36:" TWO_STEPS "35:" TWO_STEPS
      "34:" TWO_STEPS "33:" TWO_STEPS "32:" TWO_STEPS "31:" TWO_STEPS
      "ldr r12, [sp, #24]\n\t"
      "cmp r0, r12\n\t"
      "bne.w 38b\n\t"
      "ldr pc, [sp, #28]\n\t"

      "11:" FINISH_BY("11")
      "12:" FINISH_BY("12")
      "13:" FINISH_BY("13")
      "14:" FINISH_BY("14")
      "10: ldmia r1!, {r8-r11}\n\t"
      FINISH_SIGNED("r2") FINISH_SIGNED("r3") FINISH_SIGNED("r4")
      "ldmia r1!, {r8-r12}\n\t"
      FINISH_SIGNED("r5") FINISH_SIGNED("r6") FINISH_SIGNED("r7")
      STORE

      "22: add sp, #32\n\t"
      "pop {r4-r11, pc}\n\t"

      ".p2align 2\n\t"
      "9:\n\t" /* distances from here, plus 1 for Thumb, in the order of the enumeration */
      ".word 22b - 9b + 1, 20b - 9b + 1, 21b - 9b + 1\n\t"
      ".word 10b - 9b + 1, 11b - 9b + 1, 12b - 9b + 1, 13b - 9b + 1, 14b - 9b + 1\n\t"
      ".word 31b - 9b + 1, 32b - 9b + 1, 33b - 9b + 1, 34b - 9b + 1\n\t"
      ".word 35b - 9b + 1, 36b - 9b + 1, 37b - 9b + 1, 38b - 9b + 1\n\t");
}

#else

/* All channels of a group for three pixels; output: of the first of them. */
static void three_pixels(const job *of, int8_t *output) {
  const int32_t steps = (int32_t)(of->end - of->panel) / STEP_WORDS;
  const int32_t constants = of->finish == FINISH ? 4 : 2;
  const int32_t shift = 10 + (int32_t)(of->finish - FINISH) / 4;
  const int32_t *weights = of->weights;
  for (int32_t next = EK_CONV_NEXT; next == EK_CONV_NEXT; output += 2) {
    const int32_t *at = weights + 2 + 2 * steps;
    for (int32_t k = 0; k < 2; k++, at += constants) {
      for (int32_t pixel = 0; pixel < PIXELS; pixel++) {
        int32_t sum = weights[k];
        for (int32_t i = 0; i < steps; i++) {
          const uint32_t halves = (uint32_t)weights[2 + 2 * i + k];
          const uint32_t *x = of->panel + i * STEP_WORDS + pixel;
          sum = ek_smlad(halves, x[0], sum);
          sum = ek_smlad(ek_sxtb16(halves), x[PIXELS], sum);
        }
        output[pixel * of->apart + k] = constants == 4
                                            ? ek_finish_signed(sum, at[0], at[1], at[2], at[3])
                                            : ek_finish_once(sum, at[0], at[1], shift);
      }
    }
    next = *at;
    weights = at + 1;
  }
}

#endif

/* Where a window's taps lie: rows, of them runs of bytes that lie together. */
typedef struct {
  int32_t runs, run_bytes, run_apart, row_apart;
  int32_t is_direct; /* each is one run, and they lie as the pixels do */
} taps;

static taps taps_of(const ek_conv_packed *p) {
  const int32_t depth = p->input_channels / p->groups;
  const int is_together = p->dilation_width == 1 && p->groups == 1;
  const int is_pixel = p->kernel_height == 1 && p->kernel_width == 1 && p->stride_height == 1 &&
                       p->stride_width == 1 && p->pad_top == 0 && p->pad_left == 0;
  return (taps){.runs = is_together ? 1 : p->kernel_width,
                .run_bytes = is_together ? p->kernel_width * depth : depth,
                .run_apart = p->dilation_width * p->input_channels,
                .row_apart = p->dilation_height * p->input_width * p->input_channels,
                .is_direct = is_pixel && depth % 4 == 0};
}

/* Copies count bytes; memcpy would be called for so few. The last word may be written twice. */
static inline void copy(int8_t *to, const int8_t *from, int32_t count) {
  if (count < 4) {
    for (; count > 0; count--) *to++ = *from++;
    return;
  }
  const int8_t *const last = from + count - 4;
  int8_t *const last_to = to + count - 4;
  for (; from < last; from += 4, to += 4) ek_store_word(to, ek_load_word(from));
  ek_store_word(last_to, ek_load_word(last));
}

/* A window that lies inside, in the order of the weights. */
static void gather_inside(const ek_conv_packed *p, const taps *t, const int8_t *from,
                          int8_t *window) {
  for (int32_t i = 0; i < p->kernel_height; i++, from += t->row_apart) {
    if (t->run_bytes == 9) { /* three taps of an image: the first layer */
      ek_store_word(window, ek_load_word(from));
      ek_store_word(window + 4, ek_load_word(from + 4));
      window[8] = from[8];
      window += 9;
      continue;
    }
    const int8_t *run = from;
    for (int32_t j = 0; j < t->runs; j++, run += t->run_apart, window += t->run_bytes) {
      copy(window, run, t->run_bytes);
    }
  }
}

/* A window that laps over the border; its first tap is (top, left). */
static void gather_border(const ek_conv_packed *p, const int8_t *input, int32_t top, int32_t left,
                          int8_t *window) {
  const int32_t depth = p->input_channels / p->groups;
  for (int32_t i = 0, y = top; i < p->kernel_height; i++, y += p->dilation_height) {
    for (int32_t j = 0, x = left; j < p->kernel_width;
         j++, x += p->dilation_width, window += depth) {
      if (y < 0 || y >= p->input_height || x < 0 || x >= p->input_width) {
        memset(window, p->input_zero_point, (size_t)depth);
      } else {
        copy(window, input + (y * p->input_width + x) * p->input_channels, depth);
      }
    }
  }
}

/* The first tap of a pixel's window: row, column, whether all taps lie inside. */
typedef struct {
  int32_t top, left, is_inside;
} corner;

static corner corner_of(const ek_conv_packed *p, int32_t y, int32_t x) {
  const int32_t top = y * p->stride_height - p->pad_top;
  const int32_t left = x * p->stride_width - p->pad_left;
  const int32_t bottom = top + (p->kernel_height - 1) * p->dilation_height;
  const int32_t right = left + (p->kernel_width - 1) * p->dilation_width;
  return (corner){top, left,
                  top >= 0 && left >= 0 && bottom < p->input_height && right < p->input_width};
}

/* The panel of three windows, through copies of them. */
static void fill_gathered(const ek_conv_packed *p, const taps *t, const int8_t *input,
                          const corner at[PIXELS], uint32_t *panel) {
  const int32_t window_bytes = 4 * p->steps;
  int8_t *const windows = (int8_t *)(panel + STEP_WORDS * p->steps);
  for (int32_t k = 0; k < PIXELS; k++) {
    int8_t *const window = windows + k * window_bytes;
    if (at[k].is_inside) {
      const int32_t first = (at[k].top * p->input_width + at[k].left) * p->input_channels;
      gather_inside(p, t, input + first, window);
    } else {
      gather_border(p, input, at[k].top, at[k].left, window);
    }
  }
  widen(windows, windows + window_bytes, windows + 2 * window_bytes, p->steps, panel);
}

/* The panel of the windows of three pixels, `step` apart. */
static void fill(const ek_conv_packed *p, const taps *t, const int8_t *input, int32_t pixel,
                 int32_t step, uint32_t *panel) {
  const int32_t width = p->output_width, pitch = p->input_channels;
  if (t->is_direct) {
    const int8_t *const from = input + pixel * pitch;
    widen(from, from + step * pitch, from + 2 * step * pitch, p->steps, panel);
    return;
  }
  corner at[PIXELS];
  for (int32_t k = 0, y = pixel / width, x = pixel - y * width; k < PIXELS; k++) {
    at[k] = corner_of(p, y, x);
    x += step;
    if (x == width) x = 0, y++;
  }
  if (t->run_bytes % 4 != 0 || !(at[0].is_inside & at[1].is_inside & at[2].is_inside)) {
    fill_gathered(p, t, input, at, panel);
    return;
  }
  const int8_t *const a = input + (at[0].top * p->input_width + at[0].left) * pitch;
  const int8_t *const b = input + (at[1].top * p->input_width + at[1].left) * pitch;
  const int8_t *const c = input + (at[2].top * p->input_width + at[2].left) * pitch;
  for (int32_t i = 0; i < p->kernel_height; i++) {
    for (int32_t j = 0, at_run = i * t->row_apart; j < t->runs; j++, at_run += t->run_apart) {
      panel = widen(a + at_run, b + at_run, c + at_run, t->run_bytes / 4, panel);
    }
  }
}

/* A group of channels, three pixels at a time: the last three once more where their number is no
 * multiple of three, and of fewer than three each three times. */
static void convolve(const ek_conv_packed *p, const taps *t, const int8_t *input, int8_t *output,
                     const job *of, uint32_t *panel) {
  const int32_t pixels = p->output_height * p->output_width;
  const int32_t step = pixels >= PIXELS, last = pixels - (step ? PIXELS : 1);
  const int32_t channels = p->output_channels / p->groups;
  job odd = *of;
  odd.weights += channels / 2 * pair_words(p);
  for (int32_t pixel = 0;;) {
    fill(p, t, input, pixel, step, panel);
    int8_t *const to = output + pixel * p->output_channels;
    three_pixels(of, to);
    if (channels % 2 != 0) three_pixels(&odd, to + channels - 2);
    if (pixel == last) return;
    pixel += step ? PIXELS : 1;
    if (pixel > last) pixel = last;
  }
}

void ek_conv_dsp(const ek_conv_packed *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t pixels = p->output_height * p->output_width;
  const int32_t channels = p->output_channels / p->groups;
  const taps t = taps_of(p);
  uint32_t *const panel = scratch;
  job of = job_of(p, panel, pixels < PIXELS ? 0 : p->output_channels);
  for (int32_t n = 0; n < p->batches; n++) {
    of.weights = p->weights;
    for (int32_t group = 0; group < p->groups; group++) {
      convolve(p, &t, input + group * (p->input_channels / p->groups), output + group * channels,
               &of, panel);
      of.weights += (channels + 1) / 2 * pair_words(p);
    }
    input += p->input_height * p->input_width * p->input_channels;
    output += pixels * p->output_channels;
  }
}
