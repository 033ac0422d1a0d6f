"""One module per data set: `load` reads the shipped file, `make` remakes it."""
