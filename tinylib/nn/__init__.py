"""Stock parts: layers, blocks, small networks, and the loops that train and evaluate them."""
