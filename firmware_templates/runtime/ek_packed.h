/* The instructions that packed kernels are made of, by name; where the core lacks them, in C with
 * the same bits. */
#ifndef EK_PACKED_H_
#define EK_PACKED_H_

#include <stdint.h>

/* Four bytes from any address: one instruction, which a freestanding compiler does not make of memcpy. */
static inline uint32_t ek_load_word(const void *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

/* Four bytes to any address. */
static inline void ek_store_word(void *to, uint32_t word) {
  __builtin_memcpy(to, &word, sizeof word);
}

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>

/* Bytes 0 and 2 as signed halfwords. */
static inline uint32_t ek_sxtb16(uint32_t x) { return (uint32_t)__sxtb16((int8x4_t)x); }

/* Bytes 1 and 3 as signed halfwords. */
static inline uint32_t ek_sxtb16_odd(uint32_t x) {
  uint32_t result;
  __asm("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
  return result;
}

/* Halfwords: sum + bytes 0 and 2 of x; sum + bytes 1 and 3. */
static inline uint32_t ek_sxtab16(uint32_t sum, uint32_t x) {
  uint32_t result;
  __asm("sxtab16 %0, %1, %2" : "=r"(result) : "r"(sum), "r"(x));
  return result;
}

static inline uint32_t ek_sxtab16_odd(uint32_t sum, uint32_t x) {
  uint32_t result;
  __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(sum), "r"(x));
  return result;
}

/* The larger of each pair of signed bytes; the smaller. */
static inline uint32_t ek_max_bytes(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
}

static inline uint32_t ek_min_bytes(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
}

/* The low halfwords of a and b, a's below; the high ones. */
static inline uint32_t ek_low_halves(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

static inline uint32_t ek_high_halves(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm("pkhtb %0, %2, %1, asr #16" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

/* high32(a * b) + sum. */
static inline int32_t ek_smmla(int32_t a, int32_t b, int32_t sum) {
  int32_t result;
  __asm("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* high32(a * b) to the nearest, ties upwards. */
static inline int32_t ek_smmulr(int32_t a, int32_t b) {
  int32_t result;
  __asm("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

/* sum + both products of signed halfwords, modulo 2^32. */
static inline int32_t ek_smlad(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

#else

static inline uint32_t ek_sxtb16(uint32_t x) {
  return (uint32_t)(uint16_t)(int8_t)x | (uint32_t)(uint16_t)(int8_t)(x >> 16) << 16;
}

static inline uint32_t ek_sxtb16_odd(uint32_t x) { return ek_sxtb16(x >> 8); }

static inline uint32_t ek_sxtab16(uint32_t sum, uint32_t x) {
  const uint32_t spread = ek_sxtb16(x);
  return ((sum + spread) & 0xFFFFu) | (((sum >> 16) + (spread >> 16)) << 16);
}

static inline uint32_t ek_sxtab16_odd(uint32_t sum, uint32_t x) { return ek_sxtab16(sum, x >> 8); }

static inline uint32_t ek_max_bytes(uint32_t a, uint32_t b) {
  uint32_t result = 0;
  for (int32_t i = 0; i < 32; i += 8) {
    const uint32_t larger = (int8_t)(a >> i) >= (int8_t)(b >> i) ? a : b;
    result |= larger & (0xFFu << i);
  }
  return result;
}

static inline uint32_t ek_min_bytes(uint32_t a, uint32_t b) { return ~ek_max_bytes(~a, ~b); }

static inline uint32_t ek_low_halves(uint32_t a, uint32_t b) { return (a & 0xFFFFu) | b << 16; }

static inline uint32_t ek_high_halves(uint32_t a, uint32_t b) { return a >> 16 | (b & 0xFFFF0000u); }

/* sum + the product of the low halfwords; of the high ones. */
static inline int32_t ek_smlabb(uint32_t a, uint32_t b, int32_t sum) {
  return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)a * (int16_t)b));
}

static inline int32_t ek_smlatt(uint32_t a, uint32_t b, int32_t sum) {
  return ek_smlabb(a >> 16, b >> 16, sum);
}

static inline int32_t ek_smmla(int32_t a, int32_t b, int32_t sum) {
  return (int32_t)(((int64_t)a * b) >> 32) + sum;
}

static inline int32_t ek_smmulr(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + INT64_C(0x80000000)) >> 32);
}

static inline int32_t ek_smlad(uint32_t a, uint32_t b, int32_t sum) {
  const int32_t low = (int16_t)a * (int16_t)b;
  const int32_t high = (int16_t)(a >> 16) * (int16_t)(b >> 16);
  return (int32_t)((uint32_t)sum + (uint32_t)low + (uint32_t)high);
}

#endif

/* saturate_int8((high32(sum * multiplier) + offset) >> shift): SMMLA and SSAT. */
static inline int8_t ek_finish_once(int32_t sum, int32_t multiplier, int32_t offset,
                                    int32_t shift) {
  const int32_t scaled = ek_smmla(sum, multiplier, offset) >> shift;
  return (int8_t)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
}

/* The same with an offset that jumps for negative sums: two instructions more. */
static inline int8_t ek_finish_signed(int32_t sum, int32_t multiplier, int32_t offset, int32_t jump,
                                      int32_t shift) {
  const int32_t moved = (int32_t)((uint32_t)offset + (uint32_t)(jump & (sum >> 31)));
  return ek_finish_once(sum, multiplier, moved, shift);
}

/* saturate_int8(round(round(sum * multiplier / 2^32) / 2^(shift + 1)) + zero point), where `offset` is
 * 1 + 2 * the zero point: SMMULR, ADD and ASR with ties away from zero, ADD, SSAT. */
static inline int8_t ek_finish_twice(int32_t sum, int32_t multiplier, int32_t offset,
                                     int32_t shift) {
  const int32_t high = ek_smmulr(sum, multiplier);
  const int32_t scaled = (((high + (high >> 31)) >> shift) + offset) >> 1;
  return (int8_t)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
}

#endif
