/* STM32F4: the PLL makes EK_CHIP_PLL_MULTIPLIER / 2 MHz of the 16 MHz internal oscillator. The voltage
 * scale that this takes is the one after a reset. Source: RM0090 and RM0390, PWR, FLASH and RCC. */
#include "board.h"
#include "ek_chip.h"

#define PWR_CR EK_REGISTER(0x40007000u)
#define PWR_CSR EK_REGISTER(0x40007004u)
#define FLASH_ACR EK_REGISTER(0x40023C00u)
#define RCC_CR EK_REGISTER(0x40023800u)
#define RCC_PLLCFGR EK_REGISTER(0x40023804u)
#define RCC_CFGR EK_REGISTER(0x40023808u)
#define RCC_APB1ENR EK_REGISTER(0x40023840u)

#define HSI_HZ 16000000u
#define PLL_ON (1u << 24)
#define PLL_READY (1u << 25)

uint32_t ek_chip_start(void) {
  RCC_APB1ENR |= 1u << 28; /* clock of PWR */
  (void)RCC_APB1ENR;       /* takes effect after a read */
  /* 16 MHz / 16 * N / 2; the 48 MHz output, unused, gets the largest divider. */
  RCC_PLLCFGR = 15u << 24 | (uint32_t)EK_CHIP_PLL_MULTIPLIER << 6 | 16u;
  RCC_CR |= PLL_ON;
#if EK_CHIP_OVERDRIVE
  PWR_CR |= 1u << 16;
  EK_WAIT_FOR((PWR_CSR & 1u << 16) != 0);
  PWR_CR |= 1u << 17;
  EK_WAIT_FOR((PWR_CSR & 1u << 17) != 0);
#endif
  EK_WAIT_FOR((RCC_CR & PLL_READY) != 0);
  if ((RCC_CR & PLL_READY) == 0) return HSI_HZ;
  FLASH_ACR = 7u << 8 | 5u; /* caches, prefetch, 5 wait states at 2.7 to 3.6 V */
  RCC_CFGR = 4u << 13 | 5u << 10 | 2u; /* APB2 a half, APB1 a quarter, system clock from the PLL */
  EK_WAIT_FOR((RCC_CFGR & 3u << 2) == 2u << 2);
  return EK_UART_CLOCK_HZ;
}
