"""Owns notices to people: a run has finished, was stopped, or a night was missed. `notice` has the content, `rendering`
and `metrics` format it, `webhook`, `mail` and `textfile` deliver it, and `delivery` uses all configured channels.
Never raises, and never changes a run.
"""
