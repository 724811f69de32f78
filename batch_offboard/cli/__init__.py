"""The command line: arguments in, one of the exit codes out. `commands` has a function for each command."""
