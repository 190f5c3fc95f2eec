/* Start-up of a Cortex-M: the vector table, and what must be done before main. */
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "ek_chip.h"
#include "ek_console.h"
#include "ek_mem.h"

#define CPACR EK_REGISTER(0xE000ED88u) /* coprocessor access control */
#define VTOR EK_REGISTER(0xE000ED08u)  /* vector table offset */

/* Addresses that the linker script gives. */
extern uint32_t ek_stack_end[];
extern uint8_t ek_data_load[], ek_data_start[], ek_data_end[], ek_bss_start[], ek_bss_end[];

int main(void);
void ek_start(void);
void ek_fault(void);

typedef struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} ek_vector_table;

/* Exceptions 1 to 15; interrupts stay disabled, and need no entries. The table's alignment is what
 * VTOR asks of one with 16 entries. */
extern const ek_vector_table ek_vectors;
__attribute__((section(".vectors"), used, aligned(128))) const ek_vector_table ek_vectors = {
    .stack = ek_stack_end,
    .handlers = {ek_start, ek_fault, ek_fault, ek_fault, ek_fault, ek_fault, NULL, NULL, NULL, NULL,
                 ek_fault, ek_fault, NULL, ek_fault, ek_fault},
};

/* A function of its own, so that no register of the floating-point unit is touched before that is on. */
__attribute__((noinline, noreturn)) static void run(void) {
  memcpy(ek_data_start, ek_data_load, (size_t)(ek_data_end - ek_data_start));
  memset(ek_bss_start, 0, (size_t)(ek_bss_end - ek_bss_start));
  ek_uart_start(ek_chip_start());
  ek_exit(main());
}

/* Where the processor begins; a debugger or a boot ROM may have left another vector table. */
void ek_start(void) {
  VTOR = (uint32_t)(uintptr_t)&ek_vectors;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  CPACR |= 0xFu << 20; /* full access to coprocessors 10 and 11: floats and vectors */
  __asm volatile("dsb\n\tisb" ::: "memory");
#endif
  run();
}

/* Any fault: says so and ends. */
void ek_fault(void) {
  ek_print("fault\n");
  ek_exit(2);
}
