"""Units of the course: 1 MAC is one multiply and one add; 1 KiB is 1024 bytes."""

KIB = 1024
MIB = 1024 * 1024


def si(value: float, unit: str = "") -> str:
    """Number with three significant digits and a decimal prefix: `si(1.23e6, "MAC") == "1.23 MMAC"`."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}".rstrip()
    return f"{value:.3g} {unit}".rstrip()


def kib(n_bytes: float) -> str:
    """Bytes as KiB with one decimal: `kib(2048) == "2.0 KiB"`."""
    return f"{n_bytes / KIB:.1f} KiB"
