/* Text to the serial port, and the end of a program. */
#ifndef EK_CONSOLE_H_
#define EK_CONSOLE_H_

#include <stdint.h>

/* Prints a text; a newline goes out as carriage return and line feed. */
void ek_print(const char *text);

/* Prints a number in decimal. */
void ek_print_number(uint32_t number);

/* The end: in an emulator with semihosting an exit with this code, on a chip rest until reset. */
_Noreturn void ek_exit(int code);

#endif
