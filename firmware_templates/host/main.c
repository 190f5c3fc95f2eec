/* Runs a network on this computer: inputs from the standard input, one sample behind the other,
 * outputs to the standard output. Its arguments say where they lie in the arena: for each input
 * "in OFFSET BYTES", for each output "out OFFSET BYTES". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static _Alignas(16) uint8_t arena[EK_MODEL_ARENA_BYTES];

int main(int argc, char **argv) {
  for (;;) {
    for (int i = 1; i + 2 < argc; i += 3) {
      const size_t offset = strtoul(argv[i + 1], NULL, 10), size = strtoul(argv[i + 2], NULL, 10);
      if (strcmp(argv[i], "in") == 0 && fread(arena + offset, 1, size, stdin) != size) return 0;
    }
    ek_model_invoke(arena);
    for (int i = 1; i + 2 < argc; i += 3) {
      const size_t offset = strtoul(argv[i + 1], NULL, 10), size = strtoul(argv[i + 2], NULL, 10);
      if (strcmp(argv[i], "out") == 0) fwrite(arena + offset, 1, size, stdout);
    }
    fflush(stdout);
  }
}
