/* For a PC: samples from standard input to results on standard output, as float32 in the machine's byte order. */
#include <stdio.h>
#include "chain.h"

int main(void)
{
    static float in[IN], out[OUT];
    while (fread(in, sizeof in, 1, stdin) == 1) {
        chain(in, out);
        if (fwrite(out, sizeof out, 1, stdout) != 1) {
            return 1;
        }
    }
    return ferror(stdin) || fflush(stdout);
}
