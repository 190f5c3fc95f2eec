/* Nordic's UART without DMA. Source: nRF52840 product specification, UART. */
#include "board.h"
#include "ek_chip.h"

#define TASKS_STARTTX EK_REGISTER(EK_UART_BASE + 0x008u)
#define EVENTS_TXDRDY EK_REGISTER(EK_UART_BASE + 0x11Cu)
#define ENABLE EK_REGISTER(EK_UART_BASE + 0x500u)
#define PSELTXD EK_REGISTER(EK_UART_BASE + 0x50Cu)
#define TXD EK_REGISTER(EK_UART_BASE + 0x51Cu)
#define BAUDRATE EK_REGISTER(EK_UART_BASE + 0x524u)

#define P0_OUTSET EK_REGISTER(0x50000508u)
#define P0_DIRSET EK_REGISTER(0x50000518u)

void ek_uart_start(uint32_t clock_hz) {
#if EK_UART_TX_PIN < 32
  P0_OUTSET = 1u << EK_UART_TX_PIN; /* the line rests high */
  P0_DIRSET = 1u << EK_UART_TX_PIN;
#endif
  PSELTXD = EK_UART_TX_PIN;
  /* 2^32 * baud / clock, rounded to the upper 20 bits, which is all that the register has. */
  BAUDRATE = (uint32_t)(((uint64_t)EK_UART_BAUD << 32) / clock_hz + 0x800u) & 0xFFFFF000u;
  ENABLE = 4;
  TASKS_STARTTX = 1;
}

void ek_uart_put(char character) {
  EVENTS_TXDRDY = 0;
  TXD = (uint8_t)character;
  while (EVENTS_TXDRDY == 0) continue;
}
