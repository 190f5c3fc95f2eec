/* Arm's PL011, UART0 of Raspberry Pi's chips; its pin is set with the clocks. Source: DDI 0183. */
#include "board.h"
#include "ek_chip.h"

#define DR EK_REGISTER(EK_UART_BASE + 0x00u)
#define FR EK_REGISTER(EK_UART_BASE + 0x18u)
#define IBRD EK_REGISTER(EK_UART_BASE + 0x24u)
#define FBRD EK_REGISTER(EK_UART_BASE + 0x28u)
#define LCR_H EK_REGISTER(EK_UART_BASE + 0x2Cu)
#define CR EK_REGISTER(EK_UART_BASE + 0x30u)

void ek_uart_start(uint32_t clock_hz) {
  const uint32_t divider = (4u * clock_hz + EK_UART_BAUD / 2u) / EK_UART_BAUD; /* 64ths */
  IBRD = divider / 64u;
  FBRD = divider % 64u;
  LCR_H = 3u << 5 | 1u << 4; /* 8 bits, FIFOs on */
  CR = 1u << 8 | 1u;         /* transmitter on, on */
}

void ek_uart_put(char character) {
  while ((FR & 1u << 5) != 0) continue; /* FIFO full */
  DR = (uint8_t)character;
}
