@ The second boot stage of an RP2040: lets the processor read flash by the command that every chip
@ knows (03h, one bit at a time), then begins the program behind this stage.
@
@ The boot ROM copies 256 bytes from the start of flash to RAM, checks the CRC in the last four and
@ jumps to the first. These bytes, assembled, are the array in ek_boot2_rp2040.c.
@ Source: RP2040 datasheet, 2.8.1.3 (boot stage 2) and 4.10 (SSI).
  .syntax unified
  .cpu cortex-m0plus
  .thumb
  .text
  ldr r3, =0x18000000   @ the flash interface
  movs r1, #0
  str r1, [r3, #0x08]   @ SSIENR: off, as its registers can only be set then
  movs r1, #4
  str r1, [r3, #0x14]   @ BAUDR: a fourth of the system clock
  ldr r1, =0x001F0300
  str r1, [r3, #0x00]   @ CTRLR0: one bit, 32 bits of data, "EEPROM read"
  ldr r1, =0x03000218
  movs r2, #0xF4
  str r1, [r3, r2]      @ SPI_CTRLR0: command 03h of 8 bits, address of 24
  movs r1, #0
  str r1, [r3, #0x04]   @ CTRLR1: one word at a time
  movs r1, #1
  str r1, [r3, #0x08]   @ SSIENR: on
  ldr r0, =0x10000100   @ the vector table
  ldr r1, =0xE000ED08
  str r0, [r1]          @ VTOR
  ldmia r0, {r0, r1}
  msr msp, r0
  bx r1
  .ltorg
