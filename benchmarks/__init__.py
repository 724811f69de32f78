"""How fast it is, each figure a ratio to a stated peer in the same run, or a count. `python3 tasks.py benchmarks`."""
