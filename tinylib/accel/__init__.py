"""Accelerators: machines as data, event logs, and simulators whose every byte and cycle can be counted again."""
