/* RP2350: clocks and pins, and the block by which its boot ROM knows a program for the Arm cores.
 * Source: RP2350 datasheet, 5.9.5, minimum viable image metadata. */
#include "ek_chip_rp2.h"

extern const uint32_t ek_image_def[5];
__attribute__((section(".image_def"), used)) const uint32_t ek_image_def[5] = {
    0xFFFFDED3u, /* start of block */
    0x10210142u, /* IMAGE_DEF: executable, secure, Arm, RP2350 */
    0x000001FFu, /* last item, one word before it */
    0x00000000u, /* the only block of its loop */
    0xAB123579u, /* end of block */
};

uint32_t ek_chip_start(void) {
  static const ek_rp2_map map = {
      .resets = 0x40020000u,
      .clocks = 0x40010000u,
      .xosc = 0x40048000u,
      .pll_sys = 0x40050000u,
      .pads_bank0 = 0x40038000u,
      .io_bank0 = 0x40028000u,
      .needed = 1u << 6 | 1u << 9 | 1u << 14 | 1u << 26,
  };
  return ek_rp2_start(&map);
}
