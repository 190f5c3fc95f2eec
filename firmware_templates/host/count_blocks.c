/* Counts the instructions that unicorn executes: its block hook in C, as a Python function would be
 * called millions of times. A struct of the same layout stands in emulate/chip/tally.py. */
#include <stdint.h>

enum { KNOWN = 4096, RETURNS = 4096 };

typedef int (*read_memory)(void *engine, uint64_t address, void *bytes, uint64_t size);

typedef struct {
  uint64_t instructions; /* so far */
  uint32_t is_inside;    /* of the watched function */
  uint32_t returns;      /* from its calls */
} count;

typedef struct {
  count now, before; /* the last block */
  uint64_t first, end; /* of the watched function */
  struct {
    uint64_t address, instructions;
  } returned[RETURNS];
  read_memory read;
  struct {
    uint64_t address;
    uint32_t size, instructions;
  } known[KNOWN];
} tally;

/* Of a block of Thumb code: a halfword from 0xE800 on begins an instruction of four bytes. */
static uint32_t instructions_in(void *engine, tally *t, uint64_t address, uint32_t size) {
  const uint32_t slot = (uint32_t)(address / 2) % KNOWN;
  if (t->known[slot].address != address || t->known[slot].size != size) {
    uint32_t found = 0;
    for (uint64_t at = address; at < address + size; found++) {
      uint8_t halfword[2] = {0, 0};
      t->read(engine, at, halfword, sizeof halfword);
      at += halfword[1] >= 0xE8 ? 4 : 2;
    }
    t->known[slot].address = address;
    t->known[slot].size = size;
    t->known[slot].instructions = found;
  }
  return t->known[slot].instructions;
}

void on_block(void *engine, uint64_t address, uint32_t size, void *user) {
  tally *const t = user;
  const uint32_t is_inside = t->first <= address && address < t->end;
  t->before = t->now;
  if (is_inside && !t->now.is_inside && t->now.returns < RETURNS) {
    t->returned[t->now.returns].address = address;
    t->returned[t->now.returns].instructions = t->now.instructions;
    t->now.returns++;
  }
  t->now.is_inside = is_inside;
  t->now.instructions += instructions_in(engine, t, address, size);
}
