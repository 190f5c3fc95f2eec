/* RP2040: clocks and pins. Its second boot stage is in ek_boot2_rp2040.c. */
#include "ek_chip_rp2.h"

uint32_t ek_chip_start(void) {
  static const ek_rp2_map map = {
      .resets = 0x4000C000u,
      .clocks = 0x40008000u,
      .xosc = 0x40024000u,
      .pll_sys = 0x40028000u,
      .pads_bank0 = 0x4001C000u,
      .io_bank0 = 0x40014000u,
      .needed = 1u << 5 | 1u << 8 | 1u << 12 | 1u << 22,
  };
  return ek_rp2_start(&map);
}
