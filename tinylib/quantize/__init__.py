"""Numbers with few bits: quantizers, calibration, training with rounded weights, and the integer graph that a microcontroller runs."""
