/* {{ board.name }}: memory, clock and serial port. Written by edgekit {{ version }}. */
#ifndef BOARD_H_
#define BOARD_H_

#define EK_FLASH_BYTES {{ flash.bytes }}u
#define EK_RAM_BYTES {{ ram.bytes }}u
#define EK_STACK_BYTES {{ stack_bytes }}u

/* Whether the program ends with an exit code; a chip without a debugger would stop there. */
#define EK_SEMIHOSTING {{ 1 if board.emulator and board.emulator.semihosting else 0 }}
{% for part in ("chip", "uart") if facts[part] %}

{% for key, value in facts[part].items() %}
#define EK_{{ part | upper }}_{{ key | upper }} {{ value }}u
{% endfor %}
{% endfor %}

#endif
