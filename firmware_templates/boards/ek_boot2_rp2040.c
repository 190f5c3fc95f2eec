/* The second boot stage of an RP2040, as ek_boot2_rp2040.S assembles; the boot ROM checks its CRC-32
 * (polynomial 0x04C11DB7, all ones first, no reflection). Source: RP2040 datasheet, 2.8.1.3. */
#include <stdint.h>

extern const uint32_t ek_boot2[64];
__attribute__((section(".boot"), used)) const uint32_t ek_boot2[64] = {
    0x21004B0Au, 0x21046099u, 0x49096159u, 0x49096019u, 0x509922F4u, 0x60592100u,
    0x60992101u, 0x49074806u, 0xC8036008u, 0x8808F380u, 0x00004708u, 0x18000000u,
    0x001F0300u, 0x03000218u, 0x10000100u, 0xE000ED08u,
    [63] = 0x0919CC5Bu,
};
