/* For an emulated or a real core with a debugger: samples from in.bin to results in out.bin by semihosting, and what the
 * stack needed at most. Bare metal: vectors, start-up and input are all here, so that nothing else is linked. */
#include <stdint.h>
#include "chain.h"

enum { OPEN = 0x01, WRITE0 = 0x04, WRITE = 0x05, READ = 0x06, EXIT_EXTENDED = 0x20 };
enum { READ_BINARY = 1, WRITE_BINARY = 5 };
static const uint32_t PAINT = 0xDEADBEEFu;

extern uint32_t data_load, data_start, data_end, bss_start, bss_end, stack_limit, stack_top;

/* Apart from the memory of the network, so that it can be counted alone. */
static __attribute__((section(".buffers"))) float in[IN], out[OUT];

static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uintptr_t open_file(const char *name, uintptr_t length, uintptr_t mode)
{
    const uintptr_t block[3] = {(uintptr_t)name, mode, length};
    return (uintptr_t)semihost(OPEN, block);
}

static int transfer(int operation, uintptr_t file, void *memory, uintptr_t size)
{
    const uintptr_t block[3] = {file, (uintptr_t)memory, size};
    return semihost(operation, block); /* how many bytes were left over */
}

static void leave(uintptr_t status)
{
    const uintptr_t block[2] = {0x20026u, status};
    semihost(EXIT_EXTENDED, block);
    for (;;) {
    }
}

static void print_number(const char *name, uint32_t value)
{
    char digits[12];
    int i = 11;
    digits[i] = 0;
    digits[--i] = '\n';
    do {
        digits[--i] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value);
    semihost(WRITE0, name);
    semihost(WRITE0, digits + i);
}

static __attribute__((noinline)) uint32_t run_and_measure(void)
{
    volatile uint32_t *top = (volatile uint32_t *)__builtin_frame_address(0) - 16; /* what paints is itself below */
    volatile uint32_t *p;
    for (p = &stack_limit; p < top; ++p) {
        *p = PAINT;
    }
    chain(in, out);
    for (p = &stack_limit; p < top && *p == PAINT; ++p) {
    }
    return (uint32_t)((const volatile char *)top - (const volatile char *)p);
}

static void run_all(void)
{
    uint32_t samples = 0, stack_bytes = 0;
    const uintptr_t input = open_file("in.bin", 6, READ_BINARY), output = open_file("out.bin", 7, WRITE_BINARY);
    while (transfer(READ, input, in, sizeof in) == 0) {
        if (samples == 0) {
            stack_bytes = run_and_measure();
        } else {
            chain(in, out);
        }
        transfer(WRITE, output, out, sizeof out);
        ++samples;
    }
    print_number("samples ", samples);
    print_number("stack_bytes ", stack_bytes);
    leave(0);
}

void reset_handler(void)
{
    uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: full access to the floating-point unit */
    __asm__ volatile("dsb; isb");
#endif
    run_all();
}

static void fault(void)
{
    semihost(WRITE0, "fault\n");
    leave(1);
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const handler vectors[16] = {
    (handler)&stack_top, reset_handler, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault,
};
