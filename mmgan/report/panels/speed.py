"""How fast a run was, and how long it took."""

from mmgan.report.chart import Chart, Line
from mmgan.report.content import Note, Panel, Panels, Section, Settings
from mmgan.report.record import Record
from mmgan.report.spacing import evenly_spaced
from mmgan.runs.times import Time

POINTS = 120
FASTEST = 1e12
"""Images a second; what is faster was not measured."""


def speed(record: Record) -> Section:
    """Images per second by step, and the seconds that training took."""
    if not record.times:
        return Section(
            "Speed and time", [Note("This run has noted no times: it has just begun, or an earlier version made it.")]
        )
    images = {row["step"]: row["images"] for row in record.metrics if "images" in row}
    spans = [
        (before, after)
        for before, after in zip(record.times, record.times[1:], strict=False)
        if after.step > before.step and after.seconds > before.seconds
    ]
    rates = [(after.step, _rate(before, after, images)) for before, after in spans]
    known = [(step, rate) for step, rate in rates if rate is not None and 0 < rate < FASTEST]
    title = "Images per second"
    shown: Chart | str = "Too few steps have been timed."
    if known:
        some = evenly_spaced(known, POINTS)
        line = Line("", [step for step, _ in some], [rate for _, rate in some])
        top = 1.08 * max(rate for _, rate in some)
        shown = Chart(record.step_unit, "real images a second", [line], y_range=(0.0, top), whole_x=True)
    caption = "Between two entries of metrics.jsonl; what is done in between (samples, scores, checkpoints) counts."
    facts = {"time in training": _clock(total_seconds(record.times))}
    if begun := sum(time.seconds == 0 for time in record.times):
        facts["begun or resumed"] = "once" if begun == 1 else f"{begun} times"
    if known:
        facts["median speed"] = f"{sorted(rate for _, rate in known)[len(known) // 2]:,.0f} images/s"
    return Section(
        "Speed and time", [Settings(facts, "facts"), Panels([Panel(title, shown, caption if known else "")])]
    )


def total_seconds(times: list[Time]) -> float:
    """The seconds of all processes that trained the run, one after the other."""
    starts = [i for i, time in enumerate(times) if time.seconds == 0]
    ends = [times[i - 1].seconds for i in starts[1:]] + [times[-1].seconds]
    return sum(ends)


def _rate(before: Time, after: Time, images: dict[int, int]) -> float | None:
    """Images a second between two times of one process; None where metrics do not say how many images."""
    last = images.get(after.step)
    first = 0 if before.step == 0 else images.get(before.step)
    return None if last is None or first is None else (last - first) / (after.seconds - before.seconds)


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
