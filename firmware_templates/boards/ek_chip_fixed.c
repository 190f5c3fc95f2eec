/* A chip whose clock runs when the program begins: Arm's FPGA boards. */
#include "board.h"
#include "ek_chip.h"

uint32_t ek_chip_start(void) { return EK_UART_CLOCK_HZ; }
