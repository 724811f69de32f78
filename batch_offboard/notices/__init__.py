"""Owns telling people that a run has finished, was stopped, or that a night was missed: `notice` is what there is to
say, `rendering` and `metrics` say it in each recipient's form, `webhook`, `mail` and `textfile` deliver, `delivery`
uses every way that is configured. Never raises, and never changes a run.
"""
