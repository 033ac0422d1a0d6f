/* Self-check on this machine. */
#include <stdio.h>
int network_selfcheck(void);

int main(void) {
    const int wrong = network_selfcheck();
    printf(wrong ? "FAILED: %d output bytes differ\n" : "self-check passed\n", wrong);
    return wrong != 0;
}
