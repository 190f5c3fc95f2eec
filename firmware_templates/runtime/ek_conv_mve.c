/* Four windows at a time, and over them all channels in fours.
 *
 * A sum of products is VMLADAV, 16 products added into a general register of an even number, of which
 * there are eight: two channels times four windows. Their four sums of a channel go to the lanes of a
 * vector, are requantized there together, and lie in the lanes' top bytes; VSRI moves those of four
 * channels together, so that each lane is four channels of one pixel. */
#include "ek_conv_mve.h"

#include "ek_vector.h"

#define PIXELS 4

#if defined(__ARM_FEATURE_MVE)

/* The same line of count windows: `length` bytes each, from_step and to_step bytes apart. */
static inline void gather_line(const int8_t *from, int32_t from_step, int8_t *to, int32_t to_step,
                               int32_t length, int32_t count) {
  const int8_t *start = from;
  int8_t *to_start = to;
  if (length <= EK_VECTOR) {
    __asm volatile(
        "vctp.8 %[length]\n\t"
        "dls lr, %[count]\n\t"
        "1: vpstt\n\t"
        "vldrbt.8 q0, [%[from]]\n\t"
        "vstrbt.8 q0, [%[to]]\n\t"
        "add %[from], %[from_step]\n\t"
        "add %[to], %[to_step]\n\t"
        "le lr, 1b\n\t"
        : [from] "+r"(from), [to] "+r"(to)
        : [from_step] "r"(from_step), [to_step] "r"(to_step), [length] "r"(length),
          [count] "r"(count)
        : "lr", "q0", "memory");
    return;
  }
  for (; count > 0; count--, start += from_step, to_start += to_step) {
    ek_copy(to_start, start, length);
  }
}

#else

/* The same line of count windows: `length` bytes each, from_step and to_step bytes apart. */
static void gather_line(const int8_t *from, int32_t from_step, int8_t *to, int32_t to_step,
                        int32_t length, int32_t count) {
  for (; count > 0; count--, from += from_step, to += to_step) ek_copy(to, from, length);
}

#endif

/* Windows that lie inside and next to each other, in the order of the weights. */
static void gather_inside(const ek_conv_vectors *p, const int8_t *from, int32_t count,
                          int8_t *windows) {
  const int32_t depth = p->input_channels, line = p->kernel_width * depth;
  const int32_t row = p->input_width * depth, step = p->stride_width * depth;
  for (int32_t y = 0; y < p->kernel_height; y++, windows += line, from += row) {
    gather_line(from, step, windows, p->window_bytes, line, count);
  }
}

/* A window that laps over the border; its first tap is (row, column). */
static void gather_border(const ek_conv_vectors *p, const int8_t *input, int32_t row,
                          int32_t column, int8_t *window) {
  const int32_t depth = p->input_channels, line = p->kernel_width * depth;
  const int32_t left = column < 0 ? -column : 0, end = column + p->kernel_width;
  const int32_t right = end > p->input_width ? end - p->input_width : 0;
  const int32_t inside = (p->kernel_width - left - right) * depth;
  for (int32_t y = row; y < row + p->kernel_height; y++, window += line) {
    ek_fill(window, p->input_zero_point, line);
    if (y >= 0 && y < p->input_height && inside > 0) {
      ek_copy(window + left * depth, input + (y * p->input_width + column + left) * depth, inside);
    }
  }
}

/* How many of count positions, `step` apart from `from` on, lie below `end`. */
static int32_t below(int32_t from, int32_t step, int32_t end, int32_t count) {
  int32_t found = 0;
  for (; found < count && from < end; from += step) found++;
  return found;
}

/* count windows next to each other; the first one's first tap is (row, column). */
static void gather(const ek_conv_vectors *p, const int8_t *input, int32_t row, int32_t column,
                   int32_t count, int8_t *windows) {
  const int32_t step = p->stride_width;
  const int is_between = row >= 0 && row + p->kernel_height <= p->input_height;
  while (count > 0) {
    int32_t inside = 0;
    if (is_between && column >= 0) {
      inside = below(column, step, p->input_width - p->kernel_width + 1, count);
    }
    if (inside > 0) {
      gather_inside(p, input + (row * p->input_width + column) * p->input_channels, inside,
                    windows);
    } else {
      gather_border(p, input, row, column, windows);
      inside = 1;
    }
    count -= inside, column += inside * step, windows += inside * p->window_bytes;
  }
}

#if defined(__ARM_FEATURE_MVE)

/* Pushes all registers that a function must keep. r0 windows, r1 bytes from one to the next, r2 output,
 * r3 an ek_groups. Leaves the addresses of four pixels of the output, less 4, in q7. */
#define ENTER \
  "push {r4-r11, lr}\n\t" \
  "vpush {d8-d15}\n\t" \
  "sub sp, #60\n\t" \
  "ldr r9, [r3, #4]\n\t" /* channels: bytes from pixel to pixel of the output */ \
  "subs r4, r2, #4\n\t" \
  "add r5, r4, r9\n\t" \
  "add r6, r5, r9\n\t" \
  "add r7, r6, r9\n\t" \
  "vmov q7[2], q7[0], r4, r6\n\t" \
  "vmov q7[3], q7[1], r5, r7\n\t"
#define LEAVE \
  "add sp, #60\n\t" \
  "vpop {d8-d15}\n\t" \
  "pop {r4-r11, pc}\n\t"

/* Four sums, in the lanes of `sums`, to outputs in their top bytes. */
#define FINISH_PLAIN(sums, bias, multiplier, offset, shift) \
  "vadd.i32 " sums ", " sums ", " bias "\n\t" \
  "vqrdmulh.s32 " sums ", " sums ", " multiplier "\n\t" \
  "vadd.i32 " sums ", " sums ", " offset "\n\t" \
  "vqshl.s32 " sums ", " shift "\n\t"
/* The same with ties of negative numbers rounded away from zero; minus_one is a register of -1. */
#define FINISH_AWAY(sums, bias, multiplier, offset, shift, minus_one) \
  "vadd.i32 " sums ", " sums ", " bias "\n\t" \
  "vqrdmulh.s32 " sums ", " sums ", " multiplier "\n\t" \
  "vpt.s32 lt, " sums ", zr\n\t" \
  "vaddt.i32 " sums ", " sums ", " minus_one "\n\t" \
  "vadd.i32 " sums ", " sums ", " offset "\n\t" \
  "vqshl.s32 " sums ", " shift "\n\t"

typedef struct {
  int32_t count;    /* of groups of four windows, one after the other */
  int32_t channels; /* of the output */
  const int32_t *weights, *weights_end;
  int8_t low[16], high[16];
} ek_groups;

/* Windows of 8 or 16 bytes: those of a group stay in q0 to q3, weights pass through q4.
 *
 * r7 weights, r8 and below: sums, then two ek_top_bytes; r9 groups, r10 windows, r11 fours of
 * channels, r12 -1. 0: the weights' start, 4: three pixels of the output in bytes, 16: low, 32: high. */
#define RESIDENT_SUMS(load, multiply) \
  load \
  multiply " r0, q0, q4\n\t" \
  multiply " r2, q1, q4\n\t" \
  multiply " r4, q2, q4\n\t" \
  multiply " r6, q3, q4\n\t"
#define LANES(vector) \
  "vmov " vector "[2], " vector "[0], r0, r4\n\t" \
  "vmov " vector "[3], " vector "[1], r2, r6\n\t"
#define RESIDENT(load_window, load, multiply, finish_first, finish_second, clamp) \
  ENTER \
  "ldr r4, [r3]\n\t" \
  "ldr r7, [r3, #8]\n\t" \
  "add r5, r9, r9, lsl #1\n\t" \
  "strd r7, r5, [sp]\n\t" \
  "vldrw.32 q0, [r3, #16]\n\t" \
  "vldrw.32 q1, [r3, #32]\n\t" \
  "vstrw.32 q0, [sp, #16]\n\t" \
  "vstrw.32 q1, [sp, #32]\n\t" \
  "lsr r11, r9, #2\n\t" \
  "mov r9, r4\n\t" \
  "mov r10, r0\n\t" \
  "mvn r12, #0\n\t" \
  "1:\n\t" /* a group */ \
  "mov r0, r10\n\t" \
  load_window("q0") load_window("q1") load_window("q2") load_window("q3") \
  "mov r10, r0\n\t" \
  "ldr r7, [sp]\n\t" \
  "dls lr, r11\n\t" \
  "2:\n\t" /* four channels */ \
  RESIDENT_SUMS(load, multiply) LANES("q5") \
  RESIDENT_SUMS(load, multiply) LANES("q6") \
  "ldm r7!, {r0-r6, r8}\n\t" \
  finish_first("q5") finish_second("q6") \
  "vsri.32 q6, q5, #8\n\t" \
  RESIDENT_SUMS(load, multiply) LANES("q5") \
  RESIDENT_SUMS(load, multiply) LANES("q4") \
  "ldm r7!, {r0-r6, r8}\n\t" \
  finish_first("q5") finish_second("q4") \
  "vsri.32 q5, q6, #8\n\t" \
  "vsri.32 q4, q5, #8\n\t" \
  clamp \
  "vstrw.32 q4, [q7, #4]!\n\t" \
  "le lr, 2b\n\t" \
  "ldr r0, [sp, #4]\n\t" \
  "vadd.i32 q7, q7, r0\n\t" \
  "subs r9, #1\n\t" \
  "bne.w 1b\n\t" \
  LEAVE
#define WINDOW_OF_8(vector) "vldrb.s16 " vector ", [r0], #8\n\t"
#define WINDOW_OF_16(vector) "vldrw.32 " vector ", [r0], #16\n\t"
#define WEIGHTS_OF_8 "vldrb.s16 q4, [r7], #8\n\t"
#define WEIGHTS_OF_16 "vldrw.32 q4, [r7], #16\n\t"
#define FIRST_PLAIN(sums) FINISH_PLAIN(sums, "r0", "r1", "r2", "r3")
#define SECOND_PLAIN(sums) FINISH_PLAIN(sums, "r4", "r5", "r6", "r8")
#define FIRST_AWAY(sums) FINISH_AWAY(sums, "r0", "r1", "r2", "r3", "r12")
#define SECOND_AWAY(sums) FINISH_AWAY(sums, "r4", "r5", "r6", "r8", "r12")
#define CLAMP(vector, spare) \
  "vldrw.32 " spare ", [sp, #16]\n\t" \
  "vmax.s8 " vector ", " vector ", " spare "\n\t" \
  "vldrw.32 " spare ", [sp, #32]\n\t" \
  "vmin.s8 " vector ", " vector ", " spare "\n\t"

/* A function of assembly alone, which compilers do not see read its parameters. */
#define IN_REGISTER __attribute__((unused))
#define ASSEMBLY(name) \
  __attribute__((naked, noinline)) static void name( \
      IN_REGISTER const int8_t *windows, IN_REGISTER int32_t apart, IN_REGISTER int8_t *output, \
      IN_REGISTER const ek_groups *groups)

ASSEMBLY(of_8_plain) {
  __asm(RESIDENT(WINDOW_OF_8, WEIGHTS_OF_8, "vmladav.s16", FIRST_PLAIN, SECOND_PLAIN, ""));
}

ASSEMBLY(of_8) {
  __asm(RESIDENT(WINDOW_OF_8, WEIGHTS_OF_8, "vmladav.s16", FIRST_AWAY, SECOND_AWAY,
                 CLAMP("q4", "q5")));
}

ASSEMBLY(of_16_plain) {
  __asm(RESIDENT(WINDOW_OF_16, WEIGHTS_OF_16, "vmladav.s8", FIRST_PLAIN, SECOND_PLAIN, ""));
}

ASSEMBLY(of_16) {
  __asm(RESIDENT(WINDOW_OF_16, WEIGHTS_OF_16, "vmladav.s8", FIRST_AWAY, SECOND_AWAY,
                 CLAMP("q4", "q5")));
}

/* Windows of several vectors.
 *
 * r0 r2 r4 r6 sums of the first channel, r8 r10 r12 lr of the second; r1 r3 r5 r7 the four windows,
 * r9 weights, r11 the first window's end. On the stack 0: the windows, 16: the first one's end,
 * 20: the weights' end, 24: the weights, 28: where to enter the loop for the first pair of channels,
 * 32: and for the second, 36: groups, 40: four windows in bytes, 44: three pixels of the output in
 * bytes, 48: the ek_groups. */
#define STEP(multiply) \
  "vldrw.32 q0, [r9], #16\n\t" \
  "vldrw.32 q1, [r9], #16\n\t" \
  "vldrw.32 q2, [r1], #16\n\t" \
  multiply " r0, q2, q0\n\t" \
  multiply " r8, q2, q1\n\t" \
  "vldrw.32 q3, [r3], #16\n\t" \
  multiply " r2, q3, q0\n\t" \
  multiply " r10, q3, q1\n\t" \
  "vldrw.32 q2, [r5], #16\n\t" \
  multiply " r4, q2, q0\n\t" \
  multiply " r12, q2, q1\n\t" \
  "vldrw.32 q3, [r7], #16\n\t" \
  multiply " r6, q3, q0\n\t" \
  multiply " lr, q3, q1\n\t"
#define STEP_BYTES "56"
/* The sums of two channels in the lanes of q4 and of `second`. `loop` and `end` are labels. */
#define PAIR(entry, loop, end, second) \
  STEP("vmladav.s8") \
  "ldr pc, [sp, #" entry "]\n\t" \
  ".p2align 2\n\t" \
  loop ":\n\t" \
  ".rept 4\n\t" \
  STEP("vmladava.s8") \
  ".endr\n\t" \
  "cmp r1, r11\n\t" \
  "bne.w " loop "b\n\t" \
  ".p2align 2\n\t" \
  end ":\n\t" \
  "vmov q4[2], q4[0], r0, r4\n\t" \
  "vmov q4[3], q4[1], r2, r6\n\t" \
  "vmov " second "[2], " second "[0], r8, r12\n\t" \
  "vmov " second "[3], " second "[1], r10, lr\n\t" \
  "ldm r9!, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"
#define PAIR_PLAIN(second) \
  FINISH_PLAIN("q4", "r0", "r2", "r4", "r6") FINISH_PLAIN(second, "r8", "r10", "r12", "lr")
#define PAIR_AWAY(second) \
  "mvn r1, #0\n\t" \
  FINISH_AWAY("q4", "r0", "r2", "r4", "r6", "r1") \
  FINISH_AWAY(second, "r8", "r10", "r12", "lr", "r1")
/* The loop does four steps, the first step being done apart: it is entered with 0, 3, 2 or 1 of them
 * skipped when the others' number is 4n, 4n + 1, 4n + 2 or 4n + 3, and not at all when it is 0. */
#define ENTRIES \
  "subs r4, r1, #16\n\t" \
  "beq 3f\n\t" \
  "rsb r4, r4, #0\n\t" \
  "ubfx r4, r4, #4, #2\n\t" \
  "movs r5, #" STEP_BYTES "\n\t" \
  "mul r4, r4, r5\n\t" \
  "adr.w r5, 10f\n\t" \
  "adr.w r6, 20f\n\t" \
  "add r5, r4\n\t" \
  "add r6, r4\n\t" \
  "b 4f\n\t" \
  "3: adr.w r5, 11f\n\t" \
  "adr.w r6, 21f\n\t" \
  "4: orr r5, #1\n\t" \
  "orr r6, #1\n\t" \
  "strd r5, r6, [sp, #28]\n\t"
#define STREAMED(finish, clamp) \
  ENTER ENTRIES \
  "add r4, r0, r1\n\t" /* the second window */ \
  "add r5, r4, r1\n\t" \
  "add r6, r5, r1\n\t" \
  "strd r0, r4, [sp]\n\t" \
  "strd r5, r6, [sp, #8]\n\t" \
  "ldrd r5, r6, [r3, #8]\n\t" \
  "strd r4, r6, [sp, #16]\n\t" \
  "str r5, [sp, #24]\n\t" \
  "ldr r5, [r3]\n\t" \
  "lsl r4, r1, #2\n\t" \
  "strd r5, r4, [sp, #36]\n\t" \
  "add r5, r9, r9, lsl #1\n\t" \
  "strd r5, r3, [sp, #44]\n\t" \
  "5:\n\t" /* a group */ \
  "ldr r9, [sp, #24]\n\t" \
  "ldm sp, {r1, r3, r5, r7, r11}\n\t" \
  "6:\n\t" /* four channels */ \
  PAIR("28", "10", "11", "q5") finish("q5") \
  "ldm sp, {r1, r3, r5, r7, r11}\n\t" \
  "vsri.32 q5, q4, #8\n\t" \
  PAIR("32", "20", "21", "q6") finish("q6") \
  "vsri.32 q4, q5, #8\n\t" \
  "vsri.32 q6, q4, #8\n\t" \
  clamp \
  "ldm sp, {r1, r3, r5, r7, r11, r12}\n\t" \
  "vstrw.32 q6, [q7, #4]!\n\t" \
  "cmp r9, r12\n\t" \
  "bne.w 6b\n\t" \
  "ldrd r0, r2, [sp, #36]\n\t" \
  "ldr r4, [sp, #44]\n\t" \
  "vadd.i32 q7, q7, r4\n\t" \
  "add r1, r2\n\t" \
  "add r3, r2\n\t" \
  "add r5, r2\n\t" \
  "add r7, r2\n\t" \
  "add r11, r2\n\t" \
  "strd r1, r3, [sp]\n\t" \
  "strd r5, r7, [sp, #8]\n\t" \
  "str r11, [sp, #16]\n\t" \
  "subs r0, #1\n\t" \
  "str r0, [sp, #36]\n\t" \
  "bne.w 5b\n\t" \
  LEAVE
#define CLAMP_PAIR \
  "ldr r0, [sp, #48]\n\t" \
  "vldrw.32 q0, [r0, #16]\n\t" \
  "vldrw.32 q1, [r0, #32]\n\t" \
  "vmax.s8 q6, q6, q0\n\t" \
  "vmin.s8 q6, q6, q1\n\t"

ASSEMBLY(longer_plain) {
  __asm(STREAMED(PAIR_PLAIN, ""));
}

ASSEMBLY(longer) {
  __asm(STREAMED(PAIR_AWAY, CLAMP_PAIR));
}

typedef void (*ek_conv_windows)(const int8_t *, int32_t, int8_t *, const ek_groups *);

/* All channels of count times four windows. */
static void four_pixels(const ek_conv_vectors *p, const int8_t *windows, int32_t count,
                        int8_t *output) {
  static const ek_conv_windows functions[3][2] = {
      {of_8, of_8_plain}, {of_16, of_16_plain}, {longer, longer_plain}};
  const int32_t *const end = p->weights + p->weights_bytes / (int32_t)sizeof *p->weights;
  const int32_t length = p->window_bytes > EK_VECTOR ? 2 : p->window_bytes / EK_VECTOR;
  ek_groups groups;
  groups.count = count, groups.channels = p->output_channels;
  groups.weights = p->weights, groups.weights_end = end;
  if (!p->is_plain) {
    ek_fill(groups.low, p->output_min, EK_VECTOR);
    ek_fill(groups.high, p->output_max, EK_VECTOR);
  }
  functions[length][p->is_plain](windows, p->window_bytes, output, &groups);
}

#else

/* All channels of count times four windows. */
static void four_pixels(const ek_conv_vectors *p, const int8_t *windows, int32_t count,
                        int8_t *output) {
  const int32_t bytes = p->window_bytes, piece = bytes < EK_VECTOR ? bytes : EK_VECTOR;
  for (int32_t pixel = 0; pixel < PIXELS * count; pixel++, windows += bytes) {
    const int8_t *weights = (const int8_t *)p->weights;
    for (int32_t channel = 0; channel < p->output_channels; channel += 2) {
      const ek_top_byte *finish = (const ek_top_byte *)(const void *)(weights + 2 * bytes);
      for (int32_t k = 0; k < 2; k++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < bytes; i += piece) {
          sum += ek_dot(windows + i, weights + 2 * i + k * piece, piece);
        }
        *output++ = (int8_t)ek_clamp(ek_top_byte_of(sum, &finish[k], p->is_plain), p->output_min,
                                     p->output_max);
      }
      weights += 2 * bytes + 2 * (int32_t)sizeof *finish;
    }
  }
}

#endif

/* Windows that lie in the input; the last four may overlap those before. */
static void direct(const ek_conv_vectors *p, const int8_t *input, int32_t pixels, int8_t *output) {
  const int32_t last = pixels - PIXELS;
  four_pixels(p, input, pixels / PIXELS, output);
  if (pixels % PIXELS) {
    four_pixels(p, input + last * p->window_bytes, 1, output + last * p->output_channels);
  }
}

/* The windows of count pixels from the first on, row by row. */
static void gather_pixels(const ek_conv_vectors *p, const int8_t *input, int32_t first,
                          int32_t count, int8_t *windows) {
  const int32_t width = p->output_width;
  int32_t y = first / width, x = first - y * width;
  for (; count > 0; y++, x = 0) {
    const int32_t here = width - x < count ? width - x : count;
    gather(p, input, y * p->stride_height - p->pad_top, x * p->stride_width - p->pad_left, here,
           windows);
    count -= here, windows += here * p->window_bytes;
  }
}

/* Windows that are gathered first; the last four may overlap those before. */
static void gathered(const ek_conv_vectors *p, const int8_t *input, int32_t pixels, int8_t *output,
                     int8_t *windows) {
  for (int32_t i = 0; i < pixels; i += p->gathered) {
    const int32_t left = pixels - i < p->gathered ? pixels - i : p->gathered;
    const int32_t groups = (left + PIXELS - 1) / PIXELS, count = groups * PIXELS;
    const int32_t first = i + count <= pixels ? i : pixels - count;
    gather_pixels(p, input, first, count, windows);
    four_pixels(p, windows, groups, output + first * p->output_channels);
  }
}

void ek_conv_mve(const ek_conv_vectors *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t pixels = p->output_height * p->output_width;
  for (int32_t n = 0; n < p->batches; n++) {
    if (p->is_direct) {
      direct(p, input, pixels, output);
    } else {
      gathered(p, input, pixels, output, scratch);
    }
    input += p->input_height * p->input_width * p->input_channels;
    output += pixels * p->output_channels;
  }
}
