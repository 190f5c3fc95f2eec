/* STM32H7's USART on one pin. Source: RM0433, USART and GPIO. */
#include "board.h"
#include "ek_chip.h"

#define RCC_AHB4ENR EK_REGISTER(0x580244E0u)
#define PORT (0x58020000u + 0x400u * EK_UART_TX_PORT)
#define MODER EK_REGISTER(PORT + 0x00u)
#define AFR EK_REGISTER(PORT + 0x20u + 4u * (EK_UART_TX_PIN / 8u))

#define CR1 EK_REGISTER(EK_UART_BASE + 0x00u)
#define BRR EK_REGISTER(EK_UART_BASE + 0x0Cu)
#define ISR EK_REGISTER(EK_UART_BASE + 0x1Cu)
#define TDR EK_REGISTER(EK_UART_BASE + 0x28u)

void ek_uart_start(uint32_t clock_hz) {
  const uint32_t nibble = EK_UART_TX_PIN % 8u * 4u, pair = EK_UART_TX_PIN * 2u;
  RCC_AHB4ENR |= 1u << EK_UART_TX_PORT;
  EK_REGISTER(EK_UART_ENABLE_REGISTER) |= 1u << EK_UART_ENABLE_BIT;
  (void)EK_REGISTER(EK_UART_ENABLE_REGISTER); /* takes effect after a read */
  AFR = (AFR & ~(15u << nibble)) | (uint32_t)EK_UART_TX_FUNCTION << nibble;
  MODER = (MODER & ~(3u << pair)) | 2u << pair; /* alternate function */
  BRR = (clock_hz + EK_UART_BAUD / 2u) / EK_UART_BAUD;
  CR1 = 1u << 3 | 1u; /* transmitter on, on */
}

void ek_uart_put(char character) {
  while ((ISR & 1u << 7) == 0) continue; /* data register not empty */
  TDR = (uint8_t)character;
}
