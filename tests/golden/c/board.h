/* Arm MPS2 (AN386): memory, clock and serial port. Written by edgekit 0.1.0. */
#ifndef BOARD_H_
#define BOARD_H_

#define EK_FLASH_BYTES 4194304u
#define EK_RAM_BYTES 4194304u
#define EK_STACK_BYTES 4096u

/* Whether the program ends with an exit code; a chip without a debugger would stop there. */
#define EK_SEMIHOSTING 1

#define EK_UART_BASE 0x40004000u
#define EK_UART_CLOCK_HZ 25000000u
#define EK_UART_BAUD 115200u

#endif
