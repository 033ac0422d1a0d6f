"""Counts an event log again, one event at a time, in plain Python. Shares no code with the simulators, on purpose."""


def audit(log, *, read_bytes: int, written_bytes: int, macs: int) -> list[str]:
    """What is wrong with a log, in sentences; empty when it is sound.

    `log`: any object with equally long sequences unit, kind, start, end, amount, group, after, also_after. Looks for events that
    overlap on a unit, start before what they wait for has ended, or run backwards; and sums bytes and MACs of its own.
    """
    rows = list(zip(*(map(int, getattr(log, name)) for name in ("unit", "kind", "start", "end", "amount", "group", "after", "also_after"))))
    wrong, busy_until, group_end, sums = [], {}, {}, {}
    for number, (unit, kind, start, end, amount, group, after, also_after) in enumerate(rows):
        if end < start or start < 0 or amount < 0:
            wrong.append(f"event {number} runs backwards or has a negative amount")
        if start < busy_until.get(unit, 0):
            wrong.append(f"event {number} overlaps with an earlier one on unit {unit}")
        for waited in (after, also_after):
            if waited >= 0 and start < group_end.get(waited, 0):
                wrong.append(f"event {number} starts before group {waited} has ended")
        busy_until[unit] = max(end, busy_until.get(unit, 0))
        group_end[group] = max(end, group_end.get(group, 0))
        sums[kind] = sums.get(kind, 0) + amount
    for name, kind, expected in (("bytes read", 0, read_bytes), ("bytes written", 1, written_bytes), ("MACs", 2, macs)):
        if sums.get(kind, 0) != expected:
            wrong.append(f"the log holds {sums.get(kind, 0)} {name}, the account says {expected}")
    return wrong
