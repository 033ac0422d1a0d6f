/* Runs the shipped vectors through the network; returns how many outputs differ from the integer reference. */
#include "network.h"
#include "vectors.h"

int network_selfcheck(void) {
    int wrong = 0;
    for (int v = 0; v < VECTORS; ++v) {
        for (int i = 0; i < INPUT_BYTES; ++i) arena[INPUT_OFFSET + i] = check_inputs[v][i];
        network_run();
        for (int i = 0; i < OUTPUT_BYTES; ++i) wrong += arena[OUTPUT_OFFSET + i] != check_outputs[v][i];
    }
    return wrong;
}
