/* toy_0.25_16 on Arm MPS2 (AN386). Written by edgekit 0.1.0.
 *
 * Runs the golden vectors and says over the serial port whether every output is exact. Replace main
 * by your camera. */
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "ek_console.h"
#include "ek_mem.h"
#include "golden_vectors.h"
#include "model.h"
#include "model_settings.h"

/* In a section of its own, which start-up does not clear: every byte is written before it is read. */
extern uint8_t ek_arena[EK_MODEL_ARENA_BYTES];
_Alignas(16) __attribute__((section(".bss.ek_arena"))) uint8_t ek_arena[EK_MODEL_ARENA_BYTES];

/* The class with the highest score; of equal ones the first. */
static int32_t best_class(void) {
  const int8_t *scores = (const int8_t *)(ek_arena + EK_MODEL_OUTPUT_OFFSET);
  int32_t best = 0;
  for (int32_t i = 1; i < EK_MODEL_CLASSES; i++) {
    if (scores[i] > scores[best]) best = i;
  }
  return best;
}

/* Runs one golden vector; returns whether the outputs are equal to the bit. */
static bool run_golden(uint32_t vector) {
  memcpy(ek_arena + EK_MODEL_INPUT_OFFSET, ek_golden_input[vector], sizeof(ek_golden_input[0]));
  ek_model_invoke(ek_arena);
  return memcmp(ek_arena + EK_MODEL_OUTPUT_OFFSET, ek_golden_output[vector],
                sizeof(ek_golden_output[0])) == 0;
}

int main(void) {
  int failures = 0;
  for (uint32_t vector = 0; vector < EK_GOLDEN_COUNT; vector++) {
    const bool passed = run_golden(vector);
    ek_print("golden vector ");
    ek_print_number(vector + 1);
    ek_print("/4: ");
    ek_print(passed ? "ok" : "WRONG");
    ek_print(", ");
    ek_print(ek_model_labels[best_class()]);
    ek_print("\n");
    if (!passed) failures++;
  }
  ek_print(failures == 0 ? "self test: PASSED\n" : "self test: FAILED\n");
  return failures == 0 ? 0 : 1;
}
