"""Telling people that a run has finished, was stopped, or that a night was missed.

`notice` is what there is to say; `rendering` and `metrics` say it in each recipient's language, and are pure;
`webhook`, `mail` and `textfile` deliver; `delivery` tells on every way that is configured, and never raises.
"""
