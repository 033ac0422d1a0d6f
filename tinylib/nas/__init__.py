"""Networks that hold many networks, and the ways to choose among them."""
