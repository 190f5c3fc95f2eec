/* One channel at a time. A strip of its rows is spread into a panel of words, padded, so that nothing
 * needs to know of borders. Three columns of output are computed together: what one tap of them reads
 * lies side by side, and one LDM loads it. With columns by twos a row of the panel therefore holds first
 * the even columns, then the odd ones. */
#include "ek_depthwise_planes.h"

#include "ek_two_products.h"

#define TAPS 3
#define COLUMNS 3
#define CHANNEL_WORDS (1 + TAPS * TAPS + 8)

/* How a channel's outputs are walked over: bytes from one group of words to the next. */
typedef struct {
  int32_t to_second, to_third; /* from the end of a tap's words to the next tap's in its row */
  int32_t to_row;              /* and to the next row's */
  int32_t apart;               /* bytes from pixel to pixel of the output: its channels */
  int32_t group_bytes;         /* of the panel, groups of three columns in a row of output */
  int32_t next_row, next_line; /* from their end to the next row, in the panel and the output */
  int32_t rows;                /* of output */
} walk;

/* One row of the padded panel: even and odd columns apart if columns go by twos. */
static int32_t *spread_row(const ek_planar_depthwise *p, const int8_t *row, int32_t *panel) {
  const int32_t stride = p->stride_width, step = stride * p->input_channels;
  const int32_t padded = (p->output_width - 1) * stride + TAPS;
  for (int32_t phase = 0; phase < stride; phase++) {
    int32_t *const end = panel + ((padded - phase + stride - 1) >> (stride - 1));
    int32_t column = phase - p->pad_left;
    for (; column < 0; column += stride) *panel++ = p->input_zero_point;
    int32_t *last = panel + ((p->input_width - column + stride - 1) >> (stride - 1));
    if (last > end) last = end;
    for (const int8_t *x = row + column * p->input_channels; panel < last; x += step) *panel++ = *x;
    while (panel < end) *panel++ = p->input_zero_point;
  }
  return panel;
}

/* Rows of a channel from `top` on. */
static void spread(const ek_planar_depthwise *p, const int8_t *input, int32_t top, int32_t rows,
                   int32_t *panel) {
  const int32_t padded = (p->output_width - 1) * p->stride_width + TAPS;
  const int32_t line = p->input_width * p->input_channels;
  for (int32_t y = top; y < top + rows; y++) {
    if (y >= 0 && y < p->input_height) {
      panel = spread_row(p, input + y * line, panel);
    } else {
      for (int32_t *const end = panel + padded; panel != end;) *panel++ = p->input_zero_point;
    }
  }
}

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)

#pragma GCC diagnostic ignored "-Wunused-parameter" /* they are registers here */

/* Registers: r0 weights, r1 panel, r2 r6 r7 weights of a row, r3 to r5 words of the panel, r8 to r10 the
 * sums, r11 to_second, r12 to_third, lr to_row. */
#define TAP(weight) \
  "ldmia r1!, {r3-r5}\n\t" \
  "muls r3, " weight ", r3\n\t" \
  "add r8, r3\n\t" \
  "muls r4, " weight ", r4\n\t" \
  "add r9, r4\n\t" \
  "muls r5, " weight ", r5\n\t" \
  "add r10, r5\n\t"
#define ROW \
  "ldmia r0!, {r2, r6, r7}\n\t" \
  TAP("r2") "add r1, r11\n\t" TAP("r6") "add r1, r12\n\t" TAP("r7")
/* r3 least, r4 most. */
#define CLAMP(v, sum) \
  "mov " v ", " sum "\n\t" \
  "cmp " v ", r4\n\t" \
  "ble 6f\n\t" \
  "movs " v ", r4\n\t" \
  "6: cmp " v ", r3\n\t" \
  "bge 7f\n\t" \
  "movs " v ", r3\n\t" \
  "7:\n\t"
/* r0 high, r1 low, r2 split, r3 shift, r8 what is added to negative numbers, r9 offset. */
#define SCALE(v) \
  "movs r4, " v "\n\t" \
  "muls r4, r0, r4\n\t" \
  "muls " v ", r1, " v "\n\t" \
  "asrs " v ", r2\n\t" \
  "adcs " v ", r4\n\t" /* and the bit shifted out last, which rounds */ \
  "bpl 8f\n\t" \
  "add " v ", r8\n\t" \
  "8: add " v ", r9\n\t" \
  "asrs " v ", r3\n\t"

/* Three columns at a time of a channel's rows. */
__attribute__((naked, noinline)) static void convolve(const int32_t *panel, int8_t *output,
                                                      const int32_t *weights, const walk *w) {
  __asm(
      ".syntax unified\n\t"
      "push {r4-r7, lr}\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "mov r6, r10\n\t"
      "mov r7, r11\n\t"
      "push {r4-r7}\n\t"
      "sub sp, #28\n\t"
      "str r0, [sp]\n\t"      /* 0: the panel */
      "str r1, [sp, #4]\n\t"  /* 4: output */
      "str r2, [sp, #8]\n\t"  /* 8: weights */
      "str r3, [sp, #12]\n\t" /* 12: w */
      "ldr r4, [r3, #28]\n\t"
      "str r4, [sp, #20]\n\t" /* 20: rows left */
      "ldmia r3!, {r4-r7}\n\t"
      "mov r11, r4\n\t"
      "mov r12, r5\n\t"
      "mov lr, r6\n\t"
      "str r7, [sp, #16]\n\t" /* 16: apart */

      "1:\n\t" /* a row of output */
      "ldr r3, [sp, #12]\n\t"
      "ldr r3, [r3, #16]\n\t"
      "ldr r1, [sp]\n\t"
      "adds r3, r1\n\t"
      "str r3, [sp, #24]\n\t" /* 24: the end of its groups */

      "2:\n\t" /* three columns; r1 panel */
      "ldr r0, [sp, #8]\n\t"
      "ldmia r0!, {r2}\n\t" /* bias */
      "mov r8, r2\n\t"
      "mov r9, r2\n\t"
      "mov r10, r2\n\t"
      ROW "add r1, lr\n\t" ROW "add r1, lr\n\t" ROW
      "ldmia r0!, {r3, r4}\n\t"
      CLAMP("r5", "r8") CLAMP("r6", "r9") CLAMP("r7", "r10")
      "ldmia r0!, {r1, r2}\n\t"
      "mov r8, r1\n\t"
      "mov r9, r2\n\t"
      "ldmia r0, {r0-r3}\n\t"
      SCALE("r5") SCALE("r6") SCALE("r7")
      "ldr r0, [sp, #4]\n\t"
      "ldr r1, [sp, #16]\n\t"
      "strb r5, [r0]\n\t"
      "strb r6, [r0, r1]\n\t"
      "adds r0, r1\n\t"
      "strb r7, [r0, r1]\n\t"
      "adds r0, r1\n\t"
      "adds r0, r1\n\t"
      "str r0, [sp, #4]\n\t"
      "ldr r1, [sp]\n\t"
      "ldr r2, [sp, #24]\n\t"
      "adds r1, #12\n\t"
      "str r1, [sp]\n\t"
      "cmp r1, r2\n\t"
      "beq 3f\n\t"
      "b 2b\n\t"

      "3:\n\t" /* r0 output, r1 panel */
      "ldr r3, [sp, #12]\n\t"
      "ldr r4, [r3, #20]\n\t"
      "adds r1, r4\n\t"
      "str r1, [sp]\n\t"
      "ldr r4, [r3, #24]\n\t"
      "adds r0, r4\n\t"
      "str r0, [sp, #4]\n\t"
      "ldr r4, [sp, #20]\n\t"
      "subs r4, #1\n\t"
      "str r4, [sp, #20]\n\t"
      "beq 4f\n\t"
      "b 1b\n\t"
      "4:\n\t"
      "add sp, #28\n\t"
      "pop {r4-r7}\n\t"
      "mov r8, r4\n\t"
      "mov r9, r5\n\t"
      "mov r10, r6\n\t"
      "mov r11, r7\n\t"
      "pop {r4-r7, pc}\n\t");
}

#else

/* What three columns read of a tap; panel: the next tap's words. */
static inline const int32_t *add_tap(const int32_t *panel, int32_t weight, int32_t *sums,
                                     int32_t bytes_on) {
  sums[0] += weight * panel[0];
  sums[1] += weight * panel[1];
  sums[2] += weight * panel[2];
  return panel + COLUMNS + bytes_on / 4;
}

/* Three columns at a time of a channel's rows. */
static void convolve(const int32_t *panel, int8_t *output, const int32_t *weights, const walk *w) {
  for (int32_t row = 0; row < w->rows; row++) {
    for (const int32_t *const end = panel + w->group_bytes / 4; panel != end; panel += COLUMNS) {
      int32_t sums[COLUMNS] = {weights[0], weights[0], weights[0]};
      const int32_t *x = panel;
      for (const int32_t *weight = weights + 1; weight != weights + 1 + TAPS * TAPS;
           weight += TAPS) {
        x = add_tap(x, weight[0], sums, w->to_second);
        x = add_tap(x, weight[1], sums, w->to_third);
        x = add_tap(x, weight[2], sums, w->to_row);
      }
      for (int32_t i = 0; i < COLUMNS; i++, output += w->apart) {
        *output = ek_finish_twice(sums[i], weights + 1 + TAPS * TAPS);
      }
    }
    panel += w->next_row / 4, output += w->next_line;
  }
}

#endif

/* The walk over the first groups of each row of output. */
static walk over(const ek_planar_depthwise *p, int32_t groups, int32_t rows) {
  const int32_t padded = (p->output_width - 1) * p->stride_width + TAPS;
  const int32_t even = 4 * ((padded + 1) / 2), group = 4 * COLUMNS;
  const int by_twos = p->stride_width == 2;
  return (walk){
      .to_second = (by_twos ? even : 4) - group,
      .to_third = (by_twos ? 4 - even : 4) - group,
      .to_row = 4 * padded - (by_twos ? 4 : 8) - group,
      .apart = p->input_channels,
      .group_bytes = groups * group,
      .next_row = 4 * padded * p->stride_height - groups * group,
      .next_line = (p->output_width - groups * COLUMNS) * p->input_channels,
      .rows = rows,
  };
}

/* The rows of all channels from row y of the output on. */
static void strip(const ek_planar_depthwise *p, const int8_t *input, int8_t *output, int32_t y,
                  int32_t rows, int32_t *panel) {
  const int32_t groups = p->output_width / COLUMNS, rest = p->output_width - groups * COLUMNS;
  const int32_t to_last = p->output_width - COLUMNS; /* of columns that are left some are done twice */
  const int32_t top = y * p->stride_height - p->pad_top;
  const walk all = over(p, groups, rows), last = over(p, 1, rows);
  const int32_t *weights = p->weights;
  output += y * p->output_width * p->input_channels;
  for (int32_t c = 0; c < p->input_channels; c++, weights += CHANNEL_WORDS) {
    spread(p, input + c, top, (rows - 1) * p->stride_height + TAPS, panel);
    convolve(panel, output + c, weights, &all);
    if (rest) convolve(panel + to_last, output + c + to_last * p->input_channels, weights, &last);
  }
}

void ek_depthwise_planes(const ek_planar_depthwise *p, const int8_t *input, int8_t *output,
                         void *scratch) {
  const int32_t height = output == input ? p->output_height : p->strip_height;
  for (int32_t n = 0; n < p->batches; n++) {
    for (int32_t y = 0; y < p->output_height; y += height) {
      const int32_t left = p->output_height - y;
      strip(p, input, output, y, left < height ? left : height, scratch);
    }
    input += p->input_height * p->input_width * p->input_channels;
    output += p->output_height * p->output_width * p->input_channels;
  }
}
