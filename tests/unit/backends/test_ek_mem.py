"""The memory functions that firmware brings along do what the C library's do."""

import subprocess
from pathlib import Path

from support.c_host import CC, SANITIZERS, STRICT, needs_compiler

from edgekit.resources import templates_dir

NAMES = ("memcpy", "memmove", "memset", "memcmp")
# All of them under other names, against the C library's, at every offset and many lengths.
MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void *own_memcpy(void *restrict, const void *restrict, size_t);
void *own_memmove(void *, const void *, size_t);
void *own_memset(void *, int, size_t);
int own_memcmp(const void *, const void *, size_t);

static _Alignas(16) uint8_t ours[96], theirs[96], source[96];

static int sign(int value) { return (value > 0) - (value < 0); }

int main(void) {
  for (size_t to = 0; to < 9; to++)
    for (size_t from = 0; from < 9; from++)
      for (size_t count = 0; count < 40; count++) {
        for (size_t i = 0; i < 96; i++) {
          ours[i] = theirs[i] = (uint8_t)(7 * i);
          source[i] = (uint8_t)~i;
        }
        if (own_memcpy(ours + to, source + from, count) != ours + to) return 1;
        memcpy(theirs + to, source + from, count);
        if (own_memmove(ours + 40 + to, ours + 40 + from, count) != ours + 40 + to) return 2;
        memmove(theirs + 40 + to, theirs + 40 + from, count);
        if (memcmp(ours, theirs, 96) != 0) return 3;
        if (own_memset(ours + to, (int)from - 4, count) != ours + to) return 4;
        memset(theirs + to, (int)from - 4, count);
        if (memcmp(ours, theirs, 96) != 0) return 5;
        if (sign(own_memcmp(ours + to, source + from, count)) !=
            sign(memcmp(ours + to, source + from, count))) return 6;
        if (own_memcmp(ours + to, theirs + to, count) != 0) return 7;
      }
  puts("equal");
  return 0;
}
"""


@needs_compiler
def test_they_equal_the_c_librarys_at_every_alignment(tmp_path: Path) -> None:
    runtime = templates_dir() / "runtime"
    renamed = [f"-D{name}=own_{name}" for name in NAMES]
    flags = [*STRICT, "-O2", *SANITIZERS]
    own, main, program = tmp_path / "own.o", tmp_path / "main.c", tmp_path / "program"
    main.write_text(MAIN)
    command = [CC, *flags, "-ffreestanding", *renamed, "-c", runtime / "ek_mem.c", "-o", own]
    subprocess.run(list(map(str, command)), check=True)
    subprocess.run(list(map(str, [CC, *flags, main, own, "-o", program])), check=True)
    assert subprocess.run([program], capture_output=True, text=True).stdout == "equal\n"
