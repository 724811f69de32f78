"""Draws curves with matplotlib, which only whoever writes the page needs."""

from pathlib import Path

from benchmarks.figures import Picture


def draw(picture: Picture, folder: Path) -> None:
    """Write `NAME.svg`: the same bytes for the same figures."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5))
    for curve in picture.curves:
        across, up = zip(*curve.points, strict=True)
        axes.plot(across, up, marker="o", markersize=4, label=curve.name)
    axes.set(xscale="log", yscale="log", xlabel=picture.across, ylabel=picture.up, title=picture.title)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(folder / f"{picture.name}.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
