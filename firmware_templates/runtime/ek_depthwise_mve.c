/* A strip at a time: four rows of the image, interleaved, so that a word holds the four rows of one
 * channel in one column. Four such words, a column each, are gathered in one vector: a square of 4x4
 * values that holds every window of a tile of the output, and a product of it with the weights at one
 * of their places in the square, zeros around them, is one output.
 *
 * A tile is four outputs of a channel. At stride 1 it is 2x2 of one square, at stride 2 it is 1x4 of
 * four squares. Tiles go from right to left: the rightmost may lap over the right border of the
 * output, where the next row begins, which is written after it. */
#include "ek_depthwise_mve.h"

#include "ek_vector.h"

#define ROWS 4 /* of a strip */
#define TILE 4 /* outputs */

/* What all tiles of a row share. Lanes are the outputs of a tile. */
typedef struct {
  int32_t step;                  /* bytes of the output from tile to tile */
  int32_t tiles;                 /* in a row */
  int32_t strip_back;            /* from behind a row's last tile to its first, in the next channel */
  int32_t output_back;           /* likewise */
  int32_t low, high;             /* clamps */
  const int32_t *finish, *finish_end;
  int32_t columns[TILE][4];      /* byte offsets of a square's columns; all squares of the tile */
  int32_t pixels[TILE];          /* byte offsets of the outputs */
} ek_tiles;

#if defined(__ARM_FEATURE_MVE)

/* Interleaves count times 16 bytes of four rows. */
static void interleave(const int8_t *const rows[ROWS], int32_t first, int32_t count, int8_t *to) {
  const int8_t *a = rows[0] + first, *b = rows[1] + first, *c = rows[2] + first;
  const int8_t *d = rows[3] + first;
  to += ROWS * first;
  __asm volatile(
      "wls lr, %[count], 2f\n\t"
      "1: vldrb.8 q0, [%[a]], #16\n\t"
      "vldrb.8 q1, [%[b]], #16\n\t"
      "vldrb.8 q2, [%[c]], #16\n\t"
      "vldrb.8 q3, [%[d]], #16\n\t"
      "vst40.8 {q0, q1, q2, q3}, [%[to]]\n\t"
      "vst41.8 {q0, q1, q2, q3}, [%[to]]\n\t"
      "vst42.8 {q0, q1, q2, q3}, [%[to]]\n\t"
      "vst43.8 {q0, q1, q2, q3}, [%[to]]!\n\t"
      "le lr, 1b\n\t"
      "2:\n\t"
      : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [to] "+r"(to)
      : [count] "r"(count)
      : "lr", "q0", "q1", "q2", "q3", "memory");
}

/* r0 to r3: squares of the first tile, its outputs, weights, an ek_tiles. Then
 * r0 r2 r4 r6 sums, r1 squares, r3 bias, r5 outputs, r7 step, r8 multiplier, r9 offset, r10 shift,
 * r11 finish, r12 weights, lr tiles. On the stack 0: strip_back, output_back, 8: tiles, finish_end,
 * 16: clamps. */
#define ENTER \
  "push {r4-r11, lr}\n\t" \
  "vpush {d8-d15}\n\t" \
  "sub sp, #28\n\t" \
  "mov r12, r2\n\t" \
  "mov r5, r1\n\t" \
  "mov r1, r0\n\t" \
  "ldrd r7, r0, [r3]\n\t" \
  "ldrd r2, r4, [r3, #24]\n\t" \
  "mov r11, r2\n\t" \
  "strd r0, r4, [sp, #8]\n\t" \
  "ldrd r0, r2, [r3, #8]\n\t" \
  "strd r0, r2, [sp]\n\t" \
  "ldrd r0, r2, [r3, #16]\n\t" \
  "strd r0, r2, [sp, #16]\n\t"
#define LEAVE \
  "add sp, #28\n\t" \
  "vpop {d8-d15}\n\t" \
  "pop {r4-r11, pc}\n\t"
/* The sums to lanes, and a tile's outputs from them; `factors` holds the multiplier in each lane. */
#define FINISH_PLAIN(sums, factors) \
  "vadd.i32 " sums ", " sums ", r3\n\t" \
  "vqrdmlash.s32 " sums ", " factors ", r9\n\t" \
  "vqshl.s32 " sums ", r10\n\t" \
  "vshr.s32 " sums ", " sums ", #24\n\t"
#define FINISH_AWAY(sums, factors) \
  "ldrd r0, r2, [sp, #16]\n\t" \
  "mvn r4, #0\n\t" \
  "vadd.i32 " sums ", " sums ", r3\n\t" \
  "vqrdmulh.s32 " sums ", " sums ", " factors "\n\t" \
  "vpt.s32 lt, " sums ", zr\n\t" \
  "vaddt.i32 " sums ", " sums ", r4\n\t" \
  "vadd.i32 " sums ", " sums ", r9\n\t" \
  "vqshl.s32 " sums ", r10\n\t" \
  "vshr.s32 " sums ", " sums ", #24\n\t" \
  "vpt.s32 lt, " sums ", r0\n\t" \
  "vdupt.32 " sums ", r0\n\t" \
  "vpt.s32 gt, " sums ", r2\n\t" \
  "vdupt.32 " sums ", r2\n\t"
#define LANES(vector) \
  "vmov " vector "[2], " vector "[0], r0, r4\n\t" \
  "vmov " vector "[3], " vector "[1], r2, r6\n\t"
/* Constants of a channel; a row's tiles begin. */
#define CHANNEL(factors) \
  "1:\n\t" \
  "ldm r11!, {r3, r8, r9, r10}\n\t" \
  "ldr r0, [sp, #8]\n\t" \
  "vdup.32 " factors ", r8\n\t" \
  "dls lr, r0\n\t"
#define NEXT_TILE \
  "add r5, r7\n\t" \
  "le lr, 2b\n\t"
#define NEXT_CHANNEL \
  "ldrd r0, r2, [sp]\n\t" \
  "ldr r4, [sp, #12]\n\t" \
  "add r1, r0\n\t" \
  "add r5, r2\n\t" \
  "cmp r11, r4\n\t" \
  "bne.w 1b\n\t"

/* q0 to q3 the weights at their four places, q4 the square, q5 multiplier, q6 columns, q7 pixels. */
#define STRIDE_1(finish) \
  ENTER \
  "vldrw.32 q6, [r3, #32]\n\t" \
  "vldrw.32 q7, [r3, #96]\n\t" \
  CHANNEL("q5") \
  "vldrb.8 q1, [r12, #-4]\n\t" \
  "vldrb.8 q2, [r12, #-1]\n\t" \
  "vldrb.8 q3, [r12, #-5]\n\t" \
  "vldrb.8 q0, [r12], #16\n\t" \
  "2: vldrw.u32 q4, [r1, q6]\n\t" \
  "add r1, r1, r7, lsl #2\n\t" \
  "vmladav.s8 r0, q4, q0\n\t" \
  "vmladav.s8 r2, q4, q1\n\t" \
  "vmladav.s8 r4, q4, q2\n\t" \
  "vmladav.s8 r6, q4, q3\n\t" \
  LANES("q4") finish("q4", "q5") \
  "vstrb.32 q4, [r5, q7]\n\t" \
  NEXT_TILE NEXT_CHANNEL LEAVE
/* q0 weights, q1 to q4 columns of the squares, q5 a square, q6 multiplier, q7 pixels. */
#define STRIDE_2(finish) \
  ENTER \
  "vldrw.32 q1, [r3, #32]\n\t" \
  "vldrw.32 q2, [r3, #48]\n\t" \
  "vldrw.32 q3, [r3, #64]\n\t" \
  "vldrw.32 q4, [r3, #80]\n\t" \
  "vldrw.32 q7, [r3, #96]\n\t" \
  CHANNEL("q6") \
  "vldrb.8 q0, [r12], #16\n\t" \
  "2: vldrw.u32 q5, [r1, q1]\n\t" \
  "vmladav.s8 r0, q5, q0\n\t" \
  "vldrw.u32 q5, [r1, q2]\n\t" \
  "vmladav.s8 r2, q5, q0\n\t" \
  "vldrw.u32 q5, [r1, q3]\n\t" \
  "vmladav.s8 r4, q5, q0\n\t" \
  "vldrw.u32 q5, [r1, q4]\n\t" \
  "vmladav.s8 r6, q5, q0\n\t" \
  "add r1, r1, r7, lsl #3\n\t" \
  LANES("q5") finish("q5", "q6") \
  "vstrb.32 q5, [r5, q7]\n\t" \
  NEXT_TILE NEXT_CHANNEL LEAVE

/* A function of assembly alone, which compilers do not see read its parameters. */
#define IN_REGISTER __attribute__((unused))
#define ASSEMBLY(name) \
  __attribute__((naked, noinline)) static void name( \
      IN_REGISTER const int8_t *squares, IN_REGISTER int8_t *output, IN_REGISTER const int8_t *weights, \
      IN_REGISTER const ek_tiles *tiles)

ASSEMBLY(stride_1_plain) {
  __asm(STRIDE_1(FINISH_PLAIN));
}

ASSEMBLY(stride_1) {
  __asm(STRIDE_1(FINISH_AWAY));
}

ASSEMBLY(stride_2_plain) {
  __asm(STRIDE_2(FINISH_PLAIN));
}

ASSEMBLY(stride_2) {
  __asm(STRIDE_2(FINISH_AWAY));
}

typedef void (*ek_depthwise_tiles)(const int8_t *, int8_t *, const int8_t *, const ek_tiles *);

/* A row of tiles, all channels. squares, output: of the first, the rightmost one. */
static void tile_row(const ek_depthwise_vectors *p, const ek_tiles *tiles, const int8_t *squares,
                     int8_t *output) {
  static const ek_depthwise_tiles functions[2][2] = {{stride_1, stride_1_plain},
                                                     {stride_2, stride_2_plain}};
  functions[p->stride - 1][p->is_plain](squares, output, p->weights + EK_VECTOR, tiles);
}

#else

/* Interleaves count times 16 bytes of four rows. */
static void interleave(const int8_t *const rows[ROWS], int32_t first, int32_t count, int8_t *to) {
  for (int32_t i = first; i < first + EK_VECTOR * count; i++) {
    for (int32_t row = 0; row < ROWS; row++) to[ROWS * i + row] = rows[row][i];
  }
}

/* The output of one window in a square; place: of its weights, bytes from the square's first. */
static int8_t window(const ek_depthwise_vectors *p, const ek_tiles *tiles, const int8_t *squares,
                     int32_t square, int32_t channel, int32_t place) {
  const int8_t *weights = p->weights + EK_VECTOR * (channel + 1) - place;
  const ek_top_byte *finish = (const ek_top_byte *)(const void *)tiles->finish + channel;
  int32_t sum = 0;
  for (int32_t column = 0; column < 4; column++) {
    sum += ek_dot(squares + tiles->columns[square][column], weights + ROWS * column, ROWS);
  }
  return (int8_t)ek_clamp(ek_top_byte_of(sum, finish, p->is_plain), tiles->low, tiles->high);
}

/* A row of tiles, all channels. squares, output: of the first, the rightmost one. */
static void tile_row(const ek_depthwise_vectors *p, const ek_tiles *tiles, const int8_t *squares,
                     int8_t *output) {
  static const int32_t places[TILE] = {0, 4, 1, 5};
  for (int32_t channel = 0; channel < p->input_channels; channel++) {
    for (int32_t tile = 0; tile < tiles->tiles; tile++) {
      for (int32_t i = 0; i < TILE; i++) {
        output[tiles->pixels[i]] =
            p->stride == 1 ? window(p, tiles, squares, 0, channel, places[i])
                           : window(p, tiles, squares, i, channel, 0);
      }
      squares += (p->stride == 1 ? 4 : 8) * tiles->step, output += tiles->step;
    }
    squares += tiles->strip_back, output += tiles->output_back;
  }
}

#endif

/* The rows of the image under output rows that begin with y, interleaved behind the left padding. */
static void fill_strip(const ek_depthwise_vectors *p, const int8_t *input, int32_t y,
                       const int8_t *padding, int8_t *strip) {
  const int32_t bytes = p->input_width * p->input_channels;
  const int8_t *rows[ROWS];
  for (int32_t i = 0; i < ROWS; i++) {
    const int32_t row = y * p->stride - p->pad_top + i;
    rows[i] = row < 0 || row >= p->input_height ? padding : input + row * bytes;
  }
  strip += p->pad_left * ROWS * p->input_channels;
  interleave(rows, 0, bytes / EK_VECTOR, strip);
  if (bytes % EK_VECTOR) interleave(rows, bytes - EK_VECTOR, 1, strip);
}

/* The outputs from column x on, count tiles of them. */
static void tiles_from(const ek_depthwise_vectors *p, ek_tiles *tiles, int32_t x, int32_t count,
                       const int8_t *strip, int8_t *output) {
  const int32_t depth = p->input_channels, rightmost = x - (count - 1) * tiles->step / depth;
  const int32_t scale = p->stride == 1 ? 4 : 8;
  tiles->tiles = count;
  tiles->output_back = 1 - count * tiles->step;
  tiles->strip_back = ROWS - scale * count * tiles->step;
  tile_row(p, tiles, strip + rightmost * p->stride * ROWS * depth, output + rightmost * depth);
}

void ek_depthwise_mve(const ek_depthwise_vectors *p, const int8_t *input, int8_t *output,
                      void *scratch) {
  const int32_t depth = p->input_channels, row_bytes = p->output_width * depth;
  const int32_t tall = p->stride == 1 ? 2 : 1, full = TILE / tall;
  const int32_t wide = full < p->output_width ? full : p->output_width;
  const int32_t strip_bytes = p->strip_columns * ROWS * depth;
  int8_t *const strip = scratch, *const padding = strip + strip_bytes;
  ek_tiles tiles = {.step = -wide * depth,
                    .low = p->output_min,
                    .high = p->output_max,
                    .finish = p->finish,
                    .finish_end = p->finish + 4 * depth};
  for (int32_t i = 0; i < TILE; i++) {
    const int32_t x = i % full < wide ? i % full : wide - 1; /* the last twice where tiles are cut */
    tiles.pixels[i] = x * depth + i / full * row_bytes;
    for (int32_t column = 0; column < 4; column++) {
      tiles.columns[i][column] = (x * p->stride + column) * ROWS * depth;
    }
  }
  ek_fill(strip, p->input_zero_point, strip_bytes + p->input_width * depth);
  for (int32_t n = 0; n < p->batches; n++) {
    for (int32_t next = 0; next < p->output_height; next += tall) {
      const int32_t last = p->output_height - tall, y = next < last ? next : last;
      int8_t *const to = output + y * row_bytes;
      fill_strip(p, input, y, padding, strip);
      if (y < last || p->output_width % wide == 0) {
        tiles_from(p, &tiles, 0, (p->output_width + wide - 1) / wide, strip, to);
      } else { /* behind these rows lies what is not to be written */
        tiles_from(p, &tiles, 0, p->output_width / wide, strip, to);
        tiles_from(p, &tiles, p->output_width - wide, 1, strip, to);
      }
    }
    input += p->input_height * p->input_width * depth;
    output += p->output_height * row_bytes;
  }
}
