"""What the long run adds up and tells."""

from tests.simulation.long import MARKS, Figures, lines_of, play_seed, with_figures


def test_a_seed_of_the_long_run_is_played_and_counted() -> None:
    figures = play_seed(4)
    assert figures.bad == []
    assert figures.runs == 1
    assert figures.devices > 0
    assert figures.calls >= figures.devices
    assert figures.faults.total() > 0


def test_figures_add_up() -> None:
    one, other = Figures(runs=1, devices=20), Figures(runs=2, devices=5)
    one.faults["kill"] = 3
    other.faults["kill"] = 4
    other.bad.append("I1: twice")
    one.join(other)
    assert (one.runs, one.devices, one.faults["kill"], one.bad) == (3, 25, 7, ["I1: twice"])


def test_new_figures_take_the_place_of_the_old_ones() -> None:
    begin, end = MARKS
    figures = Figures(runs=7, devices=1_234_567, busy=1000.0)
    figures.faults["kill"] = 2
    lines = list(lines_of(figures, seed=1, seconds=600.0, cores=2))
    page = with_figures(f"before\n{begin}old\n{end}after\n", lines)
    assert page == with_figures(page, lines)
    assert page.startswith(f"before\n{begin}\n| figure | measured |")
    assert page.endswith(f"| kill | 2 |\n\n{end}after\n")
    assert "| device-runs | 1,234,567 |" in page
    assert "| device-runs per second of one core | 1,235 |" in page
    assert "old" not in page
