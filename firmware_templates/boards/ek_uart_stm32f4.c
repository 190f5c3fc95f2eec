/* STM32F4's USART on one pin. Source: RM0090, USART and GPIO. */
#include "board.h"
#include "ek_chip.h"

#define RCC_AHB1ENR EK_REGISTER(0x40023830u)
#define PORT (0x40020000u + 0x400u * EK_UART_TX_PORT)
#define MODER EK_REGISTER(PORT + 0x00u)
#define AFR EK_REGISTER(PORT + 0x20u + 4u * (EK_UART_TX_PIN / 8u))

#define SR EK_REGISTER(EK_UART_BASE + 0x00u)
#define DR EK_REGISTER(EK_UART_BASE + 0x04u)
#define BRR EK_REGISTER(EK_UART_BASE + 0x08u)
#define CR1 EK_REGISTER(EK_UART_BASE + 0x0Cu)

void ek_uart_start(uint32_t clock_hz) {
  const uint32_t nibble = EK_UART_TX_PIN % 8u * 4u, pair = EK_UART_TX_PIN * 2u;
  RCC_AHB1ENR |= 1u << EK_UART_TX_PORT;
  EK_REGISTER(EK_UART_ENABLE_REGISTER) |= 1u << EK_UART_ENABLE_BIT;
  (void)EK_REGISTER(EK_UART_ENABLE_REGISTER); /* takes effect after a read */
  AFR = (AFR & ~(15u << nibble)) | (uint32_t)EK_UART_TX_FUNCTION << nibble;
  MODER = (MODER & ~(3u << pair)) | 2u << pair; /* alternate function */
  BRR = (clock_hz + EK_UART_BAUD / 2u) / EK_UART_BAUD;
  CR1 = 1u << 13 | 1u << 3; /* on, transmitter on */
}

void ek_uart_put(char character) {
  while ((SR & 1u << 7) == 0) continue; /* data register not empty */
  DR = (uint8_t)character;
}
