/* {{ name }} on {{ board.name }}. Written by edgekit {{ version }}.
 *
 * Runs the golden vectors and says over the serial port whether every output is exact. Replace main
 * by your {{ "camera" if p else "sensor" }}. */
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
{% if has_classes %}

/* The class with the highest score; of equal ones the first. */
static int32_t best_class(void) {
  const {{ outputs[0].c_type }} *scores = (const {{ outputs[0].c_type }} *)(ek_arena + EK_MODEL_{{ outputs[0].id | upper }}_OFFSET);
  int32_t best = 0;
  for (int32_t i = 1; i < EK_MODEL_CLASSES; i++) {
    if (scores[i] > scores[best]) best = i;
  }
  return best;
}
{% endif %}

/* Runs one golden vector; returns whether the outputs are equal to the bit. */
static bool run_golden(uint32_t vector) {
{% for end in inputs %}
  memcpy(ek_arena + EK_MODEL_{{ end.id | upper }}_OFFSET, ek_golden_{{ end.id | lower }}[vector], sizeof(ek_golden_{{ end.id | lower }}[0]));
{% endfor %}
  ek_model_invoke(ek_arena);
{% for end in outputs %}
  {{ "return" if loop.first else "      " }} memcmp(ek_arena + EK_MODEL_{{ end.id | upper }}_OFFSET, ek_golden_{{ end.id | lower }}[vector],
                sizeof(ek_golden_{{ end.id | lower }}[0])) == 0{{ ";" if loop.last else " &&" }}
{% endfor %}
}

int main(void) {
  int failures = 0;
  for (uint32_t vector = 0; vector < EK_GOLDEN_COUNT; vector++) {
    const bool passed = run_golden(vector);
    ek_print("golden vector ");
    ek_print_number(vector + 1);
    ek_print("/{{ golden_count }}: ");
    ek_print(passed ? "ok" : "WRONG");
{% if has_classes %}
    ek_print(", ");
    ek_print(ek_model_labels[best_class()]);
{% endif %}
    ek_print("\n");
    if (!passed) failures++;
  }
  ek_print(failures == 0 ? "self test: PASSED\n" : "self test: FAILED\n");
  return failures == 0 ? 0 : 1;
}
