/* Arm's CMSDK UART. Source: DDI 0479, Cortex-M System Design Kit, APB UART. */
#include "board.h"
#include "ek_chip.h"

#define DATA EK_REGISTER(EK_UART_BASE + 0x00u)
#define STATE EK_REGISTER(EK_UART_BASE + 0x04u)
#define CTRL EK_REGISTER(EK_UART_BASE + 0x08u)
#define BAUDDIV EK_REGISTER(EK_UART_BASE + 0x10u)

void ek_uart_start(uint32_t clock_hz) {
  BAUDDIV = clock_hz / EK_UART_BAUD;
  CTRL = 1; /* transmitter on */
}

void ek_uart_put(char character) {
  while ((STATE & 1u) != 0) continue; /* buffer full */
  DATA = (uint8_t)character;
}
