"""An integer graph on a microcontroller: memory plan, generated C, compiler, emulator."""
