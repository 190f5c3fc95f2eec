/* STM32H7: the PLL makes 8 MHz * EK_CHIP_PLL_MULTIPLIER of the 64 MHz internal oscillator; buses run
 * at a half, peripherals at a quarter of that. Both caches are on. Source: RM0433, PWR, FLASH and
 * RCC; Armv7-M architecture reference manual, B2.2.7, for the caches. */
#include "board.h"
#include "ek_chip.h"

#define PWR_CSR1 EK_REGISTER(0x58024804u)
#define PWR_CR3 EK_REGISTER(0x5802480Cu)
#define PWR_D3CR EK_REGISTER(0x58024818u)
#define FLASH_ACR EK_REGISTER(0x52002000u)
#define RCC_CR EK_REGISTER(0x58024400u)
#define RCC_CFGR EK_REGISTER(0x58024410u)
#define RCC_D1CFGR EK_REGISTER(0x58024418u)
#define RCC_D2CFGR EK_REGISTER(0x5802441Cu)
#define RCC_D3CFGR EK_REGISTER(0x58024420u)
#define RCC_PLLCKSELR EK_REGISTER(0x58024428u)
#define RCC_PLLCFGR EK_REGISTER(0x5802442Cu)
#define RCC_PLL1DIVR EK_REGISTER(0x58024430u)

#define CCR EK_REGISTER(0xE000ED14u)     /* configuration and control */
#define CCSIDR EK_REGISTER(0xE000ED80u)  /* size of the selected cache */
#define CSSELR EK_REGISTER(0xE000ED84u)  /* which cache is selected */
#define ICIALLU EK_REGISTER(0xE000EF50u) /* invalidate the instruction cache */
#define DCISW EK_REGISTER(0xE000EF60u)   /* invalidate a line of the data cache */

#define HSI_HZ 64000000u
#define PLL_ON (1u << 24)
#define PLL_READY (1u << 25)

static void start_caches(void) {
  ICIALLU = 0;
  CSSELR = 0; /* the data cache, level 1 */
  __asm volatile("dsb" ::: "memory");
  const uint32_t sets = CCSIDR >> 13 & 0x7FFFu, ways = CCSIDR >> 3 & 0x3FFu;
  for (uint32_t set = 0; set <= sets; set++) {
    for (uint32_t way = 0; way <= ways; way++) DCISW = way << 30 | set << 5; /* lines of 32 bytes */
  }
  __asm volatile("dsb" ::: "memory");
  CCR |= 1u << 17 | 1u << 16;
  __asm volatile("dsb\n\tisb" ::: "memory");
}

uint32_t ek_chip_start(void) {
  start_caches();
  PWR_CR3 = 1u << 2 | 1u << 1; /* supplied by the internal regulator */
  EK_WAIT_FOR((PWR_CSR1 & 1u << 13) != 0);
  PWR_D3CR |= 3u << 14; /* voltage scale 1 */
  EK_WAIT_FOR((PWR_D3CR & 1u << 13) != 0);
  RCC_PLLCKSELR = 4u << 4;                    /* 64 MHz / 4 into PLL1 */
  RCC_PLLCFGR = 1u << 16 | 3u << 2;           /* output P on; input of 8 to 16 MHz, wide range */
  RCC_PLL1DIVR = 1u << 9 | (EK_CHIP_PLL_MULTIPLIER - 1u); /* P a half */
  RCC_CR |= PLL_ON;
  EK_WAIT_FOR((RCC_CR & PLL_READY) != 0);
  if ((RCC_CR & PLL_READY) == 0) return HSI_HZ;
  RCC_D1CFGR = 4u << 4 | 8u;          /* APB3 a half of AHB, AHB a half of the processor */
  RCC_D2CFGR = 4u << 8 | 4u << 4;     /* APB2, APB1 a half of AHB */
  RCC_D3CFGR = 4u << 4;               /* APB4 a half of AHB */
  FLASH_ACR = 2u << 4 | 2u;           /* 2 wait states up to 210 MHz on AHB */
  RCC_CFGR = 3u;                      /* system clock from PLL1 */
  EK_WAIT_FOR((RCC_CFGR & 7u << 3) == 3u << 3);
  return EK_UART_CLOCK_HZ;
}
