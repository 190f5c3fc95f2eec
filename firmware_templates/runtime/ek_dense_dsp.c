/* The input is spread out once, then every weight is read once: four outputs at a time.
 *
 * The arithmetic is that of ek_conv_dsp.c, which explains it: of four values a word of weights H, and
 * two words X and Z of the input, with H * X - low_bytes(H) * Z for their four products. */
#include "ek_dense_dsp.h"

#include "ek_packed.h"

#define OUTPUTS 4
#define FLIPPED 0xFF7FFF7Fu /* the bits in which Z differs from the bytes */

/* The spread input: X Z for each step. What pads it meets weights of 0. */
static void widen(const ek_dense_packed *p, const int8_t *input, uint32_t *spread) {
  const int32_t whole = p->inputs / 4;
  for (const int8_t *const end = input + 4 * whole; input != end; input += 4, spread += 2) {
    const uint32_t word = ek_load_word(input);
    spread[0] = ek_sxtb16(word);
    spread[1] = word ^ FLIPPED;
  }
  uint32_t rest = 0;
  for (int32_t k = 0; k < p->inputs % 4; k++) rest |= (uint32_t)(uint8_t)input[k] << 8 * k;
  for (int32_t step = whole; step < p->steps; step++, spread += 2, rest = 0) {
    spread[0] = ek_sxtb16(rest);
    spread[1] = rest ^ FLIPPED;
  }
}

/* What all rows share; `enter`: where the loop of eight pairs of steps a round is entered, by its place
 * in the table at the end of four_outputs. */
typedef struct {
  const uint32_t *spread;
  uint32_t enter;
  const uint32_t *end; /* of the spread input */
  const int32_t *weights;
} job;

#if defined(__ARM_FEATURE_DSP)

#pragma GCC diagnostic ignored "-Wunused-parameter" /* they are registers here */
#pragma GCC diagnostic ignored "-Woverlength-strings" /* assembly */

/* Registers: r0 input, r1 weights, r2 to r5 the sums, r6 to r9 the weights of a step, r10 to r12 and
 * r14 the input of two steps.
 * Stack: the input, output; code: 8 enter; 12 the input's end; code: 16 start, 20 exit, which are
 * EK_DENSE_NEXT and EK_DENSE_LAST. */
#define ADD(x) \
  "smlad r2, r6, " x ", r2\n\t" \
  "smlad r3, r7, " x ", r3\n\t" \
  "smlad r4, r8, " x ", r4\n\t" \
  "smlad r5, r9, " x ", r5\n\t"
#define LOW_BYTES "sxtb16 r6, r6\n\tsxtb16 r7, r7\n\tsxtb16 r8, r8\n\tsxtb16 r9, r9\n\t"
#define TWO_STEPS \
  "ldmia r0!, {r10, r11, r12, lr}\n\t" \
  "ldmia r1!, {r6-r9}\n\t" ADD("r10") LOW_BYTES ADD("r11") \
  "ldmia r1!, {r6-r9}\n\t" ADD("r12") LOW_BYTES ADD("lr")
/* r6 multiplier, r7 offset, r8 jump, r9 shift */
#define FINISH(sum) \
  "smmla r10, " sum ", r6, r7\n\t" \
  "and " sum ", r8, " sum ", asr #31\n\t" \
  "add " sum ", r10\n\t" \
  "asr " sum ", r9\n\t" \
  "ssat " sum ", #8, " sum "\n\t"

/* Outputs in fours up to the last of a stream. */
__attribute__((naked, noinline)) static void four_outputs(const job *of, int8_t *output) {
  __asm(
      "push {r4-r11, lr}\n\t"
      "ldmia r0, {r2, r4, r5, r8}\n\t"
      "mov r3, r1\n\t"
      "adr lr, 9f\n\t"
      "ldr r4, [lr, r4]\n\t"
      "ldr r6, [lr]\n\t"
      "ldr r7, [lr, #4]\n\t"
      "add r4, lr\n\t"
      "add r6, lr\n\t"
      "add r7, lr\n\t"
      "mov r0, r2\n\t"
      "mov r1, r8\n\t"
      "push {r2-r7}\n\t"

      "20: ldmia r1!, {r2-r5}\n\t"
      "ldr pc, [sp, #8]\n\t"
      "38:" TWO_STEPS "37:" TWO_STEPS "36:" TWO_STEPS "35:" TWO_STEPS
      "34:" TWO_STEPS "33:" TWO_STEPS "32:" TWO_STEPS "31:" TWO_STEPS
      "ldr r6, [sp, #12]\n\t"
      "cmp r0, r6\n\t"
      "bne.w 38b\n\t"
      "ldmia r1!, {r6-r9}\n\t" FINISH("r2")
      "ldmia r1!, {r6-r9}\n\t" FINISH("r3")
      "ldmia r1!, {r6-r9}\n\t" FINISH("r4")
      "ldmia r1!, {r6-r9, r11}\n\t" FINISH("r5")
      "ldmia sp, {r0, r10}\n\t"
      "strb r2, [r10], #1\n\t"
      "strb r3, [r10], #1\n\t"
      "strb r4, [r10], #1\n\t"
      "strb r5, [r10], #1\n\t"
      "str r10, [sp, #4]\n\t"
      "ldr pc, [sp, r11, lsl #2]\n\t"

      "22: add sp, #24\n\t"
      "pop {r4-r11, pc}\n\t"

      ".p2align 2\n\t"
      "9:\n\t" /* distances from here, plus 1 for Thumb: start, exit, the last 1 to 8 pairs */
      ".word 20b - 9b + 1, 22b - 9b + 1\n\t"
      ".word 31b - 9b + 1, 32b - 9b + 1, 33b - 9b + 1, 34b - 9b + 1\n\t"
      ".word 35b - 9b + 1, 36b - 9b + 1, 37b - 9b + 1, 38b - 9b + 1\n\t");
}

#else

/* Outputs in fours up to the last of a stream. */
static void four_outputs(const job *of, int8_t *output) {
  const int32_t steps = (int32_t)(of->end - of->spread) / 2;
  const int32_t *weights = of->weights;
  for (int32_t next = EK_DENSE_NEXT; next == EK_DENSE_NEXT; output += OUTPUTS) {
    const int32_t *constants = weights + OUTPUTS * (1 + steps);
    for (int32_t k = 0; k < OUTPUTS; k++, constants += 4) {
      int32_t sum = weights[k];
      for (int32_t i = 0; i < steps; i++) {
        const uint32_t halves = (uint32_t)weights[OUTPUTS * (1 + i) + k];
        sum = ek_smlad(halves, of->spread[2 * i], sum);
        sum = ek_smlad(ek_sxtb16(halves), of->spread[2 * i + 1], sum);
      }
      output[k] = ek_finish_signed(sum, constants[0], constants[1], constants[2], constants[3]);
    }
    next = *constants;
    weights = constants + 1;
  }
}

#endif

void ek_dense_dsp(const ek_dense_packed *p, const int8_t *input, int8_t *output, void *scratch) {
  uint32_t *const spread = scratch;
  const int32_t whole = p->outputs - p->outputs % OUTPUTS;
  const job of = {.spread = spread,
                  .enter = 8 + 4 * ((uint32_t)(p->steps / 2 - 1) & 7u),
                  .end = spread + 2 * p->steps,
                  .weights = p->weights};
  job rest = of;
  rest.weights += whole * (1 + p->steps + 4) + whole / OUTPUTS;
  for (int32_t row = 0; row < p->rows; row++, input += p->inputs, output += p->outputs) {
    widen(p, input, spread);
    if (whole > 0) four_outputs(&of, output);
    if (whole < p->outputs) {
      int8_t last[OUTPUTS];
      four_outputs(&rest, last);
      for (int32_t k = whole; k < p->outputs; k++) output[k] = last[k - whole];
    }
  }
}
