"""tinylib: short, exact, tested reference implementations of efficient deep learning, and the course built on them."""

__version__ = "0.1.0"
