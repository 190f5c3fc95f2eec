/* Nordic nRF52: the processor always runs at 64 MHz; the crystal makes the serial port exact.
 * Source: nRF52840 product specification, CLOCK and NVMC. */
#include "board.h"
#include "ek_chip.h"

#define TASKS_HFCLKSTART EK_REGISTER(0x40000000u)
#define EVENTS_HFCLKSTARTED EK_REGISTER(0x40000100u)
#define NVMC_ICACHECNF EK_REGISTER(0x4001E540u)

uint32_t ek_chip_start(void) {
  NVMC_ICACHECNF = 1; /* flash has wait states */
  EVENTS_HFCLKSTARTED = 0;
  TASKS_HFCLKSTART = 1;
  EK_WAIT_FOR(EVENTS_HFCLKSTARTED != 0);
  return EK_UART_CLOCK_HZ;
}
