"""Durations for people."""


def spoken_duration(seconds: float) -> str:
    """A duration in its two largest units: "59 s", "2 min 30 s", "3 h 2 min", "2 d 4 h". Never negative."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole, 60, "min", 1, "s")
    if whole < 86_400:
        return _two_units(whole, 3600, "h", 60, "min")
    return _two_units(whole, 86_400, "d", 3600, "h")


def _two_units(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    count, rest = divmod(whole, large)
    return f"{count} {large_name} {rest // small} {small_name}" if rest // small else f"{count} {large_name}"
