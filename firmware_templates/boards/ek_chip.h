/* What a chip does before and around the program. One ek_chip_*.c and one ek_uart_*.c implement it. */
#ifndef EK_CHIP_H_
#define EK_CHIP_H_

#include <stdint.h>

/* A register of a peripheral. */
#define EK_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Waits until a condition holds, but not for ever: a clock that does not start leaves the chip on
 * the one it woke up with. */
#define EK_WAIT_FOR(condition) \
  for (uint32_t ek_turn = 0; !(condition) && ek_turn < 100000; ek_turn++) continue

/* Brings the processor to its speed. Returns the clock of the serial port, in Hz. */
uint32_t ek_chip_start(void);

/* Opens the serial port at EK_UART_BAUD, 8 bits, no parity, one stop bit. */
void ek_uart_start(uint32_t clock_hz);

/* Sends a character; waits until there is room for it. */
void ek_uart_put(char character);

#endif
