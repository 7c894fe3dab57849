"""PNGs of the measures: small files, readable in a README column, drawn without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmgan.analysis.calibration import ReliabilityCurve
from mmgan.analysis.png import save_png
from mmgan.errors import UserError

DOTS_PER_INCH = 120


def reliability_diagram(curve: ReliabilityCurve, path: str | Path, *, title: str = "") -> None:
    """Accuracy against confidence in bins, above the share of examples in each bin; written to `path` as PNG.

    A calibrated classifier's bars reach the diagonal (Guo et al. 2017, Figure 1).
    """
    figure = Figure(figsize=(5, 5.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    left = curve.edges[:-1]
    widths = [high - low for low, high in zip(curve.edges[:-1], curve.edges[1:], strict=True)]
    accuracy = [0.0 if value is None else value for value in curve.accuracy]
    top.bar(left, accuracy, widths, align="edge", color="tab:blue", edgecolor="white", label="accuracy")
    filled = [(c, a) for c, a in zip(curve.confidence, curve.accuracy, strict=True) if c is not None and a is not None]
    points = {"color": "tab:orange", "markersize": 4, "label": "accuracy at the bin's mean confidence"}
    top.plot(*zip(*filled, strict=True), "o", **points)
    top.plot([0, 1], [0, 1], "--", color="0.4", label="calibrated")
    error = f"expected calibration error {100 * curve.expected_calibration_error:.2f} %"
    top.set(ylim=(0, 1), ylabel="accuracy (share of right answers)", title=f"{title}\n{error}".strip())
    top.title.set_fontsize(10)
    share = [100 * count / sum(curve.count) for count in curve.count]
    bottom.bar(left, share, widths, align="edge", color="0.6", edgecolor="white")
    bottom.set(xlim=(0, 1), xlabel="confidence (largest softmax probability)", ylabel="examples (%)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)  # where it hides no bar
    save_png(figure, path, DOTS_PER_INCH)


def singular_value_plot(spectra: Mapping[str, Sequence[float]], path: str | Path, *, title: str = "") -> None:
    """Singular values by rank, one line a name, on a logarithmic scale (Figures 9 to 12); written to `path` as PNG.

    Values below a millionth of the largest are not drawn: they are rounding errors of zero, and would take up most of a
    logarithmic axis.

    Raises:
        UserError: if there is no spectrum, or an empty one.
    """
    if not spectra or not all(len(values) for values in spectra.values()):
        raise UserError("there are no singular values to plot: give at least one spectrum with one value")
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    largest, longest = max(max(values) for values in spectra.values()), max(len(values) for values in spectra.values())
    for name, values in spectra.items():
        shown = [value if value > largest * 1e-6 else float("nan") for value in values]
        axes.plot(range(1, len(values) + 1), shown, marker="o" if longest <= 50 else "", markersize=3, label=name)
    axes.set(yscale="log", xlabel="rank of the singular value (1 = largest)", ylabel="singular value", title=title)
    axes.set_xlim(0.5, longest + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    save_png(figure, path, DOTS_PER_INCH)


def deformation_plot(accuracy: Mapping[str, Mapping[str, float]], path: str | Path, *, title: str = "") -> None:
    """Test accuracy under deformations (Table 9), one group of bars a deformation and one bar a classifier, as PNG.

    Args:
        accuracy: by classifier's name and deformation's name, in percent; all classifiers have the same deformations.
        path: where the PNG goes.
        title: its title.

    Raises:
        UserError: if there is nothing to plot or the classifiers' deformations differ.
    """
    rows = [list(of) for of in accuracy.values()]
    if not rows or not rows[0] or any(names != rows[0] for names in rows):
        raise UserError(
            "deformations can be plotted if every classifier has the same ones, in one order, and at least one"
        )
    names = rows[0]
    figure = Figure(figsize=(7, 0.9 + 0.24 * len(names) + 0.1 * len(names) * (len(accuracy) - 1)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(accuracy)
    for i, (classifier, of) in enumerate(accuracy.items()):
        offset = (i - (len(accuracy) - 1) / 2) * height
        axes.barh([row + offset for row in range(len(names))], [of[name] for name in names], height, label=classifier)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)  # the first on top
    axes.set(xlim=(0, 100), xlabel="test accuracy (%)", title=title)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    if len(accuracy) > 1:  # of one classifier the title says all
        figure.legend(loc="outside lower center", ncols=min(len(accuracy), 3), fontsize=9)
    save_png(figure, path, DOTS_PER_INCH)
