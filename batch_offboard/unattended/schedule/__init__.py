"""`nightly` in the hands of the platform's own scheduler: systemd, cron, Windows Task Scheduler, Kubernetes.

`job` says what is to be started and when; `systemd`, `cron`, `windows` and `kubernetes` turn that into the text that
each scheduler reads, and are pure; `planning` gathers a job from what the operator asked for; `schedulers` puts the
text in place, looks at it and takes it away; `programs` runs the schedulers' own programs.
"""
