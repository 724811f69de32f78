"""`python -m batch_offboard` and the console command `batch-offboard`."""

import sys


def main() -> None:
    from batch_offboard.cli.entry import run_command_line

    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
