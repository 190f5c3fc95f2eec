#include "ek_console.h"

#include "board.h"
#include "ek_chip.h"

void ek_print(const char *text) {
  for (; *text != '\0'; text++) {
    if (*text == '\n') ek_uart_put('\r');
    ek_uart_put(*text);
  }
}

void ek_print_number(uint32_t number) {
  char digits[11];
  char *first = &digits[sizeof(digits) - 1];
  *first = '\0';
  do {
    *--first = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  ek_print(first);
}

#if EK_SEMIHOSTING
/* Arm's semihosting: operation SYS_EXIT_EXTENDED with "application exit" and the code. */
static void end(int code) {
  uint32_t block[2] = {0x20026u, (uint32_t)code};
  register uint32_t operation __asm("r0") = 0x20u;
  register uint32_t *argument __asm("r1") = block;
  __asm volatile("bkpt 0xAB" : "+r"(operation) : "r"(argument) : "memory");
}
#else
static void end(int code) { (void)code; }
#endif

_Noreturn void ek_exit(int code) {
  end(code);
  for (;;) __asm volatile("wfi");
}
