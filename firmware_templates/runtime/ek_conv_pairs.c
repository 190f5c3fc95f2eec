/* One panel of eight windows at a time, and over it one channel after the other.
 *
 * A word of the panel holds a tap of two windows, x0 + 65536 * x1, so that one product with a weight
 * holds both of theirs, and a sum of such words both sums: its lower half mod 2^16, and its upper half
 * less what the lower one borrows. A run of taps is as long as both are sure to fit. It starts with
 * 32768, which keeps the lower half from borrowing; after it
 *
 *     both += sum,    upper += sum >> 16,
 *
 * and in the end upper is the sum of the second window, and both - 65536 * upper, of which the starting
 * value took the 32768 of each run, that of the first. */
#include "ek_conv_pairs.h"

#include "ek_mem.h"
#include "ek_two_products.h"

#define WORDS 4 /* of two pixels */
#define PIXELS (2 * WORDS)
#define CONSTANTS 10 /* of a channel */
#define CODED_TAPS 23
#define CODED_HALFWORDS 11

/* Count values of two windows, into every fourth word. */
static uint32_t *widen(const int8_t *a, const int8_t *b, int32_t count, uint32_t *panel) {
  for (const int8_t *const end = a + count; a != end; panel += WORDS) {
    const int32_t low = *a++, high = *b++;
    *panel = (uint32_t)low + ((uint32_t)high << 16);
  }
  return panel;
}

/* Where windows lie in the image. */
typedef struct {
  int32_t row, column; /* of the first tap */
} place;

/* The next window of the output. */
static void move_on(const ek_paired_conv *p, place *at) {
  at->column += p->stride_width;
  if (at->column == p->output_width * p->stride_width - p->pad_left) {
    at->row += p->stride_height, at->column = -p->pad_left;
  }
}

static void move_back(const ek_paired_conv *p, place *at, int32_t count) {
  at->column -= count * p->stride_width;
  while (at->column < -p->pad_left) {
    at->row -= p->stride_height, at->column += p->output_width * p->stride_width;
  }
}

static int is_inside(const ek_paired_conv *p, place at) {
  return at.row >= 0 && at.row + p->kernel_height <= p->input_height && at.column >= 0 &&
         at.column + p->kernel_width <= p->input_width;
}

static const int8_t *pixel(const ek_paired_conv *p, const int8_t *input, int32_t row,
                           int32_t column) {
  return input + (row * p->input_width + column) * p->input_channels;
}

/* The same, or zero points where the image has no such pixel. */
static const int8_t *any_pixel(const ek_paired_conv *p, const int8_t *input, int32_t row,
                               int32_t column, const int8_t *zeros) {
  if (row < 0 || row >= p->input_height || column < 0 || column >= p->input_width) return zeros;
  return pixel(p, input, row, column);
}

/* Two windows. zeros: C zero points. */
static void fill(const ek_paired_conv *p, const int8_t *input, place a, place b,
                 const int8_t *zeros, uint32_t *panel) {
  const int inside = is_inside(p, a) && is_inside(p, b);
  for (int32_t y = 0; y < p->kernel_height; y++) {
    if (inside) {
      panel = widen(pixel(p, input, a.row + y, a.column), pixel(p, input, b.row + y, b.column),
                    p->kernel_width * p->input_channels, panel);
      continue;
    }
    for (int32_t x = 0; x < p->kernel_width; x++) {
      panel = widen(any_pixel(p, input, a.row + y, a.column + x, zeros),
                    any_pixel(p, input, b.row + y, b.column + x, zeros), p->input_channels, panel);
    }
  }
}

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)

#pragma GCC diagnostic ignored "-Wunused-parameter" /* they are registers here */
#pragma GCC diagnostic ignored "-Woverlength-strings" /* assembly */

/* Registers: r0 weights, r1 panel, r2 a weight, r3 to r6 words of the panel, r7 zero, r8 to r11 the sums
 * of the run, r12 32768. */
#define TAP \
  "ldrsb r2, [r0, r7]\n\t" \
  "adds r0, #1\n\t" \
  "ldmia r1!, {r3-r6}\n\t" \
  "muls r3, r2, r3\n\t" \
  "add r8, r3\n\t" \
  "muls r4, r2, r4\n\t" \
  "add r9, r4\n\t" \
  "muls r5, r2, r5\n\t" \
  "add r10, r5\n\t" \
  "muls r6, r2, r6\n\t" \
  "add r11, r6\n\t"
/* The upper half of a run's sum; the next run begins. */
#define UPPER(sum, upper) \
  "mov r7, " sum "\n\t" \
  "asrs r7, #16\n\t" \
  "adds " upper ", r7\n\t" \
  "mov " sum ", r12\n\t"
/* Registers: r0 output, r3 high, r4 low, r5 split, r6 shift, r8 offset, r9 least, lr most, r10 the next
 * pixel's distance, r11 what is added to negative numbers. */
#define FINISH(v) \
  "cmp " v ", lr\n\t" \
  "ble 6f\n\t" \
  "mov " v ", lr\n\t" \
  "6: cmp " v ", r9\n\t" \
  "bge 7f\n\t" \
  "mov " v ", r9\n\t" \
  "7: movs r7, " v "\n\t" \
  "muls r7, r3, r7\n\t" \
  "muls " v ", r4, " v "\n\t" \
  "asrs " v ", r5\n\t" \
  "adcs " v ", r7\n\t" /* and the bit shifted out last, which rounds */ \
  "bpl 8f\n\t" \
  "add " v ", r11\n\t" \
  "8: add " v ", r8\n\t" \
  "asrs " v ", r6\n\t" \
  "strb " v ", [r0]\n\t" \
  "add r0, r10\n\t"
#define FINISH_TWO(both, upper) \
  "ldr r1, [sp, #" both "]\n\t" \
  "ldr r2, [sp, #" upper "]\n\t" \
  "lsls r7, r2, #16\n\t" \
  "subs r1, r7\n\t" \
  FINISH("r1") FINISH("r2")

/* All channels of eight pixels. output: of the first pixel; apart: bytes from pixel to pixel, which are
 * the channels, too. */
__attribute__((naked, noinline)) static void eight_pixels(const uint32_t *panel, int8_t *output,
                                                          int32_t apart, const int8_t *weights,
                                                          const int32_t *constants) {
  __asm(
      ".syntax unified\n\t"
      "push {r4-r7, lr}\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "mov r6, r10\n\t"
      "mov r7, r11\n\t"
      "push {r4-r7}\n\t"
      "ldr r4, [sp, #36]\n\t" /* constants */
      "sub sp, #56\n\t"       /* 0: both sums, 16: the upper ones */
      "str r0, [sp, #32]\n\t" /* 32: the panel */
      "str r1, [sp, #36]\n\t" /* 36: output */
      "adds r1, r2\n\t"
      "str r1, [sp, #40]\n\t" /* 40: the output's end */
      "str r4, [sp, #44]\n\t" /* 44: constants */
      "str r2, [sp, #48]\n\t" /* 48: apart; 52: weights, meanwhile */
      "movs r0, r3\n\t"
      "movs r7, #128\n\t"
      "lsls r7, #8\n\t"
      "mov r12, r7\n\t"

      "1:\n\t" /* a channel */
      "ldr r2, [sp, #44]\n\t"
      "ldmia r2!, {r3, r4}\n\t"
      "str r2, [sp, #44]\n\t"
      "mov r1, sp\n\t"
      "movs r5, r3\n\t"
      "movs r6, r3\n\t"
      "movs r7, r3\n\t"
      "stmia r1!, {r3, r5-r7}\n\t"
      "movs r5, r4\n\t"
      "movs r6, r4\n\t"
      "movs r7, r4\n\t"
      "stmia r1!, {r4-r7}\n\t"
      "mov r8, r12\n\t"
      "mov r9, r12\n\t"
      "mov r10, r12\n\t"
      "mov r11, r12\n\t"
      "ldr r1, [sp, #32]\n\t"
      "movs r7, #0\n\t"

      "2:\n\t" /* a run: its code is where to enter, in halfwords from the branch on */
      "ldrb r2, [r0]\n\t"
      "adds r0, #1\n\t"
      "lsls r2, #1\n\t"
      "add pc, r2\n\t"
      "nop\n\t"
      "b 3f\n\t"
      TAP TAP TAP TAP TAP TAP TAP TAP TAP TAP TAP TAP
      TAP TAP TAP TAP TAP TAP TAP TAP TAP TAP TAP
      "mov r2, sp\n\t"
      "ldmia r2!, {r3-r6}\n\t"
      "add r3, r8\n\t"
      "add r4, r9\n\t"
      "add r5, r10\n\t"
      "add r6, r11\n\t"
      "subs r2, #16\n\t"
      "stmia r2!, {r3-r6}\n\t"
      "ldmia r2!, {r3-r6}\n\t"
      UPPER("r8", "r3") UPPER("r9", "r4") UPPER("r10", "r5") UPPER("r11", "r6")
      "subs r2, #16\n\t"
      "stmia r2!, {r3-r6}\n\t"
      "movs r7, #0\n\t"
      "b 2b\n\t"

      "3:\n\t" /* all runs are done */
      "ldr r2, [sp, #44]\n\t"
      "str r0, [sp, #52]\n\t"
      "ldmia r2!, {r3-r6}\n\t" /* least, most, below zero, offset */
      "mov r9, r3\n\t"
      "mov lr, r4\n\t"
      "mov r11, r5\n\t"
      "mov r8, r6\n\t"
      "ldmia r2!, {r3-r6}\n\t" /* high, low, split, shift */
      "str r2, [sp, #44]\n\t"
      "ldr r0, [sp, #36]\n\t"
      "ldr r7, [sp, #48]\n\t"
      "mov r10, r7\n\t"
      FINISH_TWO("0", "16") FINISH_TWO("4", "20") FINISH_TWO("8", "24") FINISH_TWO("12", "28")
      "ldr r1, [sp, #36]\n\t"
      "ldr r2, [sp, #40]\n\t"
      "ldr r0, [sp, #52]\n\t"
      "adds r1, #1\n\t"
      "str r1, [sp, #36]\n\t"
      "cmp r1, r2\n\t"
      "beq 4f\n\t"
      "b 1b\n\t"
      "4:\n\t"
      "add sp, #56\n\t"
      "pop {r4-r7}\n\t"
      "mov r8, r4\n\t"
      "mov r9, r5\n\t"
      "mov r10, r6\n\t"
      "mov r11, r7\n\t"
      "pop {r4-r7, pc}\n\t");
}

#else

/* The runs of a channel; where its weights end. sums: of each word of the panel, both and upper. */
static const int8_t *add_runs(const uint32_t *panel, const int8_t *weights, uint32_t *both,
                              int32_t *upper) {
  for (int32_t code; (code = (uint8_t)*weights++) != 0;) {
    uint32_t a = 32768, b = a, c = a, d = a;
    const int8_t *const end = weights + CODED_TAPS - (code - 1) / CODED_HALFWORDS;
    for (; weights != end; panel += WORDS) {
      const uint32_t weight = (uint32_t)*weights++;
      a += weight * panel[0];
      b += weight * panel[1];
      c += weight * panel[2];
      d += weight * panel[3];
    }
    both[0] += a, upper[0] += (int32_t)a >> 16;
    both[1] += b, upper[1] += (int32_t)b >> 16;
    both[2] += c, upper[2] += (int32_t)c >> 16;
    both[3] += d, upper[3] += (int32_t)d >> 16;
  }
  return weights;
}

/* All channels of eight pixels. output: of the first pixel; apart: bytes from pixel to pixel, which are
 * the channels, too. */
static void eight_pixels(const uint32_t *panel, int8_t *output, int32_t apart,
                         const int8_t *weights, const int32_t *constants) {
  for (const int8_t *const end = output + apart; output != end; output++) {
    uint32_t both[WORDS];
    int32_t upper[WORDS];
    for (int32_t i = 0; i < WORDS; i++) both[i] = (uint32_t)constants[0], upper[i] = constants[1];
    weights = add_runs(panel, weights, both, upper);
    int8_t *to = output;
    for (int32_t i = 0; i < WORDS; i++, to += 2 * apart) {
      to[0] = ek_finish_twice((int32_t)(both[i] - ((uint32_t)upper[i] << 16)), constants + 2);
      to[apart] = ek_finish_twice(upper[i], constants + 2);
    }
    constants += CONSTANTS;
  }
}

#endif

void ek_conv_pairs(const ek_paired_conv *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t pixels = p->output_height * p->output_width;
  uint32_t *const panel = scratch;
  int8_t *const zeros = (int8_t *)(panel + WORDS * p->taps);
  memset(zeros, p->input_zero_point, (size_t)p->input_channels);
  for (int32_t n = 0; n < p->batches; n++) {
    place at = {-p->pad_top, -p->pad_left};
    for (int32_t left = pixels; left > 0; left -= PIXELS, output += PIXELS * p->output_channels) {
      if (left < PIXELS) { /* some are computed twice */
        move_back(p, &at, PIXELS - left);
        output -= (PIXELS - left) * p->output_channels;
      }
      for (int32_t i = 0; i < WORDS; i++) {
        const place first = at;
        move_on(p, &at);
        fill(p, input, first, at, zeros, panel + i);
        move_on(p, &at);
      }
      eight_pixels(panel, output, p->output_channels, p->weights, p->constants);
    }
    input += p->input_height * p->input_width * p->input_channels;
  }
}
