/* toy_0.25_16: labels, and whether it fits the board.
 * Written by edgekit 0.1.0. */
#ifndef MODEL_SETTINGS_H_
#define MODEL_SETTINGS_H_

#include <stdint.h>

#include "board.h"
#include "model.h"

_Static_assert(EK_MODEL_ARENA_BYTES + EK_STACK_BYTES <= EK_RAM_BYTES,
               "arena and stack do not fit the RAM of Arm MPS2 (AN386)");
_Static_assert(EK_MODEL_WEIGHTS_BYTES <= EK_FLASH_BYTES,
               "the weights do not fit the flash of Arm MPS2 (AN386)");

/* Output 0 holds one score a class. */
#define EK_MODEL_CLASSES 3
extern const char *const ek_model_labels[EK_MODEL_CLASSES];

#endif
