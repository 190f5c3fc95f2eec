/* What RP2040 and RP2350 have in common: crystal oscillator, PLL and clocks are the same blocks at
 * other addresses. Source: RP2040 datasheet, 2.15 to 2.18; RP2350 datasheet, 8.1 to 8.6. */
#ifndef EK_CHIP_RP2_H_
#define EK_CHIP_RP2_H_

#include <stdint.h>

#include "board.h"
#include "ek_chip.h"

#define EK_CLEAR 0x3000u /* writing there clears bits, at any register */

typedef struct {
  uint32_t resets, clocks, xosc, pll_sys, pads_bank0, io_bank0;
  uint32_t needed; /* bits in RESETS: IO_BANK0, PADS_BANK0, PLL_SYS, UART0 */
} ek_rp2_map;

/* The processor, the bus and the serial port at the PLL's clock; the pin is UART0's. */
static inline uint32_t ek_rp2_start(const ek_rp2_map *map) {
  EK_REGISTER(map->xosc + 0x0Cu) = 47;                    /* start-up delay of 1 ms */
  EK_REGISTER(map->xosc) = 0xFABAA0u;                     /* enabled, 1 to 15 MHz */
  EK_WAIT_FOR((EK_REGISTER(map->xosc + 0x04u) >> 31) != 0);
  EK_REGISTER(map->resets + EK_CLEAR) = map->needed;
  EK_WAIT_FOR((EK_REGISTER(map->resets + 0x08u) & map->needed) == map->needed);

  EK_REGISTER(map->clocks + 0x30u) = 2; /* reference clock: the crystal */
  EK_REGISTER(map->pll_sys) = 1;
  EK_REGISTER(map->pll_sys + 0x08u) = EK_CHIP_PLL_MULTIPLIER;
  EK_REGISTER(map->pll_sys + EK_CLEAR + 0x04u) = 1u | 1u << 5; /* power for the PLL and its oscillator */
  EK_WAIT_FOR((EK_REGISTER(map->pll_sys) >> 31) != 0);
  EK_REGISTER(map->pll_sys + 0x0Cu) =
      (uint32_t)EK_CHIP_PLL_DIVIDER_1 << 16 | (uint32_t)EK_CHIP_PLL_DIVIDER_2 << 12;
  EK_REGISTER(map->pll_sys + EK_CLEAR + 0x04u) = 1u << 3; /* power for the dividers */
  EK_REGISTER(map->clocks + 0x3Cu) = 0;                   /* system clock: PLL_SYS behind its switch */
  EK_REGISTER(map->clocks + 0x3Cu) = 1;
  EK_WAIT_FOR(EK_REGISTER(map->clocks + 0x44u) == 2);
  EK_REGISTER(map->clocks + 0x48u) = 1u << 11; /* peripherals: the system clock */

  EK_REGISTER(map->pads_bank0 + EK_CLEAR + 4u + 4u * EK_UART_TX_PIN) = 1u << 8 | 1u << 7;
  EK_REGISTER(map->io_bank0 + 4u + 8u * EK_UART_TX_PIN) = 2; /* function 2: UART */
  return EK_UART_CLOCK_HZ;
}

#endif
