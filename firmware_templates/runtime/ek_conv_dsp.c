/* One panel of four windows at a time, and over it all channels in pairs.
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

#define PIXELS 4

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
static void gather_inside(const ek_conv_packed *p, const int8_t *from, int8_t *window) {
  const int32_t line = p->kernel_width * p->input_channels;
  const int32_t row = p->input_width * p->input_channels;
  for (int8_t *const end = window + p->kernel_height * line; window != end;
       window += line, from += row) {
    copy(window, from, line);
  }
}

/* A window that laps over the border; its first tap is (row, column). */
static void gather_border(const ek_conv_packed *p, const int8_t *input, int32_t row,
                          int32_t column, int8_t *window) {
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

static void gather(const ek_conv_packed *p, const int8_t *input, int32_t row, int32_t column,
                   int8_t *window) {
  if (row >= 0 && row + p->kernel_height <= p->input_height && column >= 0 &&
      column + p->kernel_width <= p->input_width) {
    gather_inside(p, input + (row * p->input_width + column) * p->input_channels, window);
  } else {
    gather_border(p, input, row, column, window);
  }
}

/* Four windows, `apart` bytes from one to the next: X X X X Z Z Z Z for each step. */
static void fill_panel(const int8_t *windows, int32_t apart, int32_t steps, uint32_t *panel) {
  const int8_t *w0 = windows, *w1 = w0 + apart, *w2 = w1 + apart, *w3 = w2 + apart;
  for (uint32_t *end = panel + steps * 2 * PIXELS; panel != end; panel += 2 * PIXELS) {
    const uint32_t a = ek_load_word(w0), b = ek_load_word(w1);
    const uint32_t c = ek_load_word(w2), d = ek_load_word(w3);
    w0 += 4, w1 += 4, w2 += 4, w3 += 4;
    panel[0] = ek_sxtb16(a);
    panel[1] = ek_sxtb16(b);
    panel[2] = ek_sxtb16(c);
    panel[3] = ek_sxtb16(d);
    panel[4] = a ^ 0xFF7FFF7Fu;
    panel[5] = b ^ 0xFF7FFF7Fu;
    panel[6] = c ^ 0xFF7FFF7Fu;
    panel[7] = d ^ 0xFF7FFF7Fu;
  }
}

#if defined(__ARM_FEATURE_DSP)

/* Registers: r0 panel, r1 weights, r2 to r5 the sums of the first channel, r6 to r9 of the second,
 * r10 r11 their weights, r12 r14 two words of the panel. */
#define ADD_FIRST_TWO \
  "ldrd r12, lr, [r0], #8\n\t" \
  "smlad r2, r10, r12, r2\n\t" \
  "smlad r3, r10, lr, r3\n\t" \
  "smlad r6, r11, r12, r6\n\t" \
  "smlad r7, r11, lr, r7\n\t"
#define ADD_LAST_TWO \
  "ldrd r12, lr, [r0], #8\n\t" \
  "smlad r4, r10, r12, r4\n\t" \
  "smlad r5, r10, lr, r5\n\t" \
  "smlad r8, r11, r12, r8\n\t" \
  "smlad r9, r11, lr, r9\n\t"
/* The first products; r5 and r9 hold the biases until they become sums themselves. */
#define START_FOUR \
  "ldrd r12, lr, [r0], #8\n\t" \
  "smlad r2, r10, r12, r5\n\t" \
  "smlad r3, r10, lr, r5\n\t" \
  "smlad r6, r11, r12, r9\n\t" \
  "smlad r7, r11, lr, r9\n\t" \
  "ldrd r12, lr, [r0], #8\n\t" \
  "smlad r4, r10, r12, r5\n\t" \
  "smlad r5, r10, lr, r5\n\t" \
  "smlad r8, r11, r12, r9\n\t" \
  "smlad r9, r11, lr, r9\n\t"
#define LOAD_WEIGHTS "ldrd r10, r11, [r1], #8\n\t"
#define LOW_BYTES "sxtb16 r10, r10\n\tsxtb16 r11, r11\n\t"
#define STEP LOAD_WEIGHTS ADD_FIRST_TWO ADD_LAST_TWO LOW_BYTES ADD_FIRST_TWO ADD_LAST_TWO

/* All channels of four pixels. output: of the first pixel; apart: bytes from pixel to pixel, which
 * are the channels, too. */
__attribute__((naked, noinline)) static void four_pixels(const uint32_t *panel, int32_t panel_bytes,
                                                         int8_t *output, int32_t apart,
                                                         const int32_t *weights) {
  __asm(
      "push {r4-r11, lr}\n\t"
      "ldr r12, [sp, #36]\n\t" /* weights */
      "sub sp, #28\n\t"
      "add r1, r0\n\t"
      "strd r0, r1, [sp]\n\t"     /* 0: the panel, 4: its end */
      "strd r2, r3, [sp, #8]\n\t" /* 8: output, 12: apart */
      "add r2, r3\n\t"
      "str r2, [sp, #16]\n\t" /* 16: the output's end */
      /* 20: where to enter the loop of four steps, the first step being done apart: with 0, 3, 2 or 1
       * of them skipped when the others' number is 4n, 4n + 1, 4n + 2 or 4n + 3; STEP is 92 bytes. */
      "sub r1, r0\n\t"
      "subs r1, #32\n\t"
      "beq 1f\n\t"
      "rsb r1, r1, #0\n\t"
      "ubfx r1, r1, #5, #2\n\t"
      "movs r2, #92\n\t"
      "mul r1, r1, r2\n\t"
      "adr r2, 3f\n\t"
      "add r1, r2\n\t"
      "b 2f\n\t"
      "1: adr r1, 4f\n\t"
      "2: orr r1, #1\n\t"
      "str r1, [sp, #20]\n\t"
      "mov r1, r12\n\t"

      "5:\n\t" /* a pair of channels */
      "ldrd r5, r9, [r1], #8\n\t" LOAD_WEIGHTS START_FOUR LOW_BYTES ADD_FIRST_TWO ADD_LAST_TWO
      "ldr pc, [sp, #20]\n\t"
      ".p2align 2\n\t"
      "3:\n\t"
      STEP STEP STEP STEP
      "ldr r12, [sp, #4]\n\t"
      "cmp r0, r12\n\t"
      "bne.w 3b\n\t"
      ".p2align 2\n\t"
      "4:\n\t"
      "ldmia r1!, {r10, r11, r12}\n\t" /* multiplier, offset, shift of the first */
      "smmla r2, r2, r10, r11\n\t"
      "smmla r3, r3, r10, r11\n\t"
      "smmla r4, r4, r10, r11\n\t"
      "smmla r5, r5, r10, r11\n\t"
      "asr r2, r2, r12\n\t"
      "asr r3, r3, r12\n\t"
      "asr r4, r4, r12\n\t"
      "asr r5, r5, r12\n\t"
      "ssat r2, #8, r2\n\t"
      "ssat r3, #8, r3\n\t"
      "ssat r4, #8, r4\n\t"
      "ssat r5, #8, r5\n\t"
      "ldmia r1!, {r10, r11, r12}\n\t" /* and of the second */
      "smmla r6, r6, r10, r11\n\t"
      "smmla r7, r7, r10, r11\n\t"
      "smmla r8, r8, r10, r11\n\t"
      "smmla r9, r9, r10, r11\n\t"
      "asr r6, r6, r12\n\t"
      "asr r7, r7, r12\n\t"
      "asr r8, r8, r12\n\t"
      "asr r9, r9, r12\n\t"
      "ssat r6, #8, r6\n\t"
      "ssat r7, #8, r7\n\t"
      "ssat r8, #8, r8\n\t"
      "ssat r9, #8, r9\n\t"
      "ldrd r10, r11, [sp, #8]\n\t" /* output, apart */
      "bfi r2, r6, #8, #8\n\t" /* both channels of a pixel */
      "bfi r3, r7, #8, #8\n\t"
      "bfi r4, r8, #8, #8\n\t"
      "bfi r5, r9, #8, #8\n\t"
      "add r12, r10, r11\n\t"
      "strh r2, [r10]\n\t"
      "strh r3, [r10, r11]\n\t"
      "strh r4, [r10, r11, lsl #1]\n\t"
      "strh r5, [r12, r11, lsl #1]\n\t"
      "add r10, #2\n\t"
      "ldr r12, [sp, #16]\n\t"
      "str r10, [sp, #8]\n\t"
      "ldr r0, [sp]\n\t"
      "cmp r10, r12\n\t"
      "bne.w 5b\n\t"
      "add sp, #28\n\t"
      "pop {r4-r11, pc}\n\t");
}

#else

/* All channels of four pixels. output: of the first pixel; apart: bytes from pixel to pixel, which
 * are the channels, too. */
static void four_pixels(const uint32_t *panel, int32_t panel_bytes, int8_t *output, int32_t apart,
                        const int32_t *weights) {
  const int32_t steps = panel_bytes / (8 * PIXELS);
  for (int32_t channel = 0; channel < apart; channel += 2, weights += 2 * steps + 8) {
    for (int32_t k = 0; k < 2; k++) {
      const int32_t *constants = weights + 2 + 2 * steps + 3 * k;
      for (int32_t pixel = 0; pixel < PIXELS; pixel++) {
        int32_t sum = weights[k];
        for (int32_t i = 0; i < steps; i++) {
          const uint32_t halves = (uint32_t)weights[2 + 2 * i + k];
          const uint32_t *at = panel + i * 2 * PIXELS + pixel;
          sum = ek_smlad(halves, at[0], sum);
          sum = ek_smlad(ek_sxtb16(halves), at[PIXELS], sum);
        }
        output[pixel * apart + channel + k] =
            ek_finish_once(sum, constants[0], constants[1], constants[2]);
      }
    }
  }
}

#endif

/* All channels of one pixel, where fewer than four are left. */
static void one_pixel(const int8_t *window, int32_t steps, int8_t *output, int32_t channels,
                      const int32_t *weights) {
  for (int8_t *end = output + channels; output != end; output += 2) {
    int32_t first = weights[0], second = weights[1];
    const int8_t *x = window;
    weights += 2;
    for (const int32_t *last = weights + 2 * steps; weights != last; weights += 2, x += 4) {
      const uint32_t word = ek_load_word(x);
      const uint32_t halves = ek_sxtb16(word), others = word ^ 0xFF7FFF7Fu;
      const uint32_t a = (uint32_t)weights[0], b = (uint32_t)weights[1];
      first = ek_smlad(ek_sxtb16(a), others, ek_smlad(a, halves, first));
      second = ek_smlad(ek_sxtb16(b), others, ek_smlad(b, halves, second));
    }
    output[0] = ek_finish_once(first, weights[0], weights[1], weights[2]);
    output[1] = ek_finish_once(second, weights[3], weights[4], weights[5]);
    weights += 6;
  }
}

void ek_conv_dsp(const ek_conv_packed *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t pixels = p->output_height * p->output_width, channels = p->output_channels;
  const int32_t window_bytes = 4 * p->steps, panel_bytes = 8 * PIXELS * p->steps;
  uint32_t *const panel = scratch;
  int8_t *const gathered = (int8_t *)scratch + panel_bytes;
  for (int32_t n = 0; n < p->batches; n++) {
    int32_t row = -p->pad_top, column = -p->pad_left, left = p->output_width;
    for (int32_t pixel = 0; pixel < pixels;) {
      const int32_t count = pixels - pixel < PIXELS ? 1 : PIXELS;
      const int8_t *windows = input + pixel * window_bytes;
      if (!p->is_direct) {
        for (int32_t k = 0; k < count; k++) {
          gather(p, input, row, column, gathered + k * window_bytes);
          column += p->stride_width;
          if (--left == 0) {
            row += p->stride_height, column = -p->pad_left, left = p->output_width;
          }
        }
        windows = gathered;
      }
      if (count == PIXELS) {
        fill_panel(windows, window_bytes, p->steps, panel);
        four_pixels(panel, panel_bytes, output, channels, p->weights);
      } else {
        one_pixel(windows, p->steps, output, channels, p->weights);
      }
      pixel += count, output += count * channels;
    }
    input += p->input_height * p->input_width * p->input_channels;
  }
}
