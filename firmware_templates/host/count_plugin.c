/* Counts the instructions that QEMU executes: a TCG plugin. Its arguments: first=ADDRESS,end=ADDRESS
 * of a function, leave=ADDRESS where its caller goes on, out=FILE. Whenever the function is entered,
 * returned into from a call, or left, a line "address instructions" is added to the file.
 *
 * QEMU's own header for plugins is rarely installed: what is used of it is declared here. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VISIBLE __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t,
                                                            struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int operation,
                                                void *number, uint64_t addend);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            void (*callback)(unsigned int, void *), int flags,
                                            void *user);

enum { ADD_U64 = 0, NO_REGISTERS = 0 };

VISIBLE int qemu_plugin_version = 1;

static uint64_t instructions, last_inside, first, end, leave;
static FILE *out;

/* The count grows by one from each instruction of the function to its next, but over a call. */
static void arrived(unsigned int cpu, void *user) {
  const uint64_t address = (uint64_t)(uintptr_t)user;
  (void)cpu;
  if (instructions != last_inside + 1 || address == first || address == leave) {
    fprintf(out, "%" PRIu64 " %" PRIu64 "\n", address, instructions);
    fflush(out);
  }
  last_inside = instructions;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
    const uint64_t address = qemu_plugin_insn_vaddr(insn);
    if ((first <= address && address < end) || address == leave) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, arrived, NO_REGISTERS,
                                             (void *)(uintptr_t)address);
    }
    qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &instructions, 1);
  }
}

VISIBLE int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
  (void)info;
  for (int i = 0; i < argc; i++) {
    char *value = strchr(argv[i], '=') + 1;
    if (strncmp(argv[i], "first=", 6) == 0) first = strtoull(value, NULL, 0);
    if (strncmp(argv[i], "end=", 4) == 0) end = strtoull(value, NULL, 0);
    if (strncmp(argv[i], "leave=", 6) == 0) leave = strtoull(value, NULL, 0);
    if (strncmp(argv[i], "out=", 4) == 0) out = fopen(value, "w");
  }
  if (out == NULL) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  return 0;
}
