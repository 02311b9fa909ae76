/* A plugin of QEMU that counts the instructions of every block of code. At the end it appends a line to the file
 * instructions.txt for each block: its address and how many instructions ran there.
 * The API (version 1, QEMU 4.2 to 8) is declared here, because Debian ships no header of it. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef uint64_t plugin_id;
struct block;
enum { INLINE_ADD_U64 = 0 };

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct block *, int operation, void *counter, uint64_t add);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern uint64_t qemu_plugin_tb_vaddr(const struct block *);
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);

struct counter {
    uint64_t address, instructions;
    struct counter *next;
};
static struct counter *counters;

static void translated(plugin_id id, struct block *block)
{
    struct counter *counter = calloc(1, sizeof *counter);
    (void)id;
    if (counter == NULL) {
        abort();
    }
    counter->address = qemu_plugin_tb_vaddr(block);
    counter->next = counters;
    counters = counter;
    qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &counter->instructions,
                                             qemu_plugin_tb_n_insns(block));
}

static void finished(plugin_id id, void *data)
{
    FILE *file = fopen("instructions.txt", "w");
    (void)id;
    (void)data;
    if (file == NULL) {
        abort();
    }
    for (const struct counter *counter = counters; counter != NULL; counter = counter->next) {
        fprintf(file, "%llx %llu\n", (unsigned long long)counter->address, (unsigned long long)counter->instructions);
    }
    fclose(file);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
