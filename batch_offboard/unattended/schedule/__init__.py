"""Runs `nightly` with the platform's own scheduler: systemd, cron, Windows Task Scheduler, Kubernetes.

`job` defines what to start and when; `systemd`, `cron`, `windows` and `kubernetes` render it for each scheduler, and
are pure; `planning` makes a job from the operator's options; `schedulers` installs, shows and removes it; `programs`
runs the schedulers' own programs.
"""
