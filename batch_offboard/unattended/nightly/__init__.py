"""Unattended runs over an inbox: `order` is the sequence of a night, `sheets` processes one sheet, `placing` moves it
to its final folder.

Everything that is sent goes through the same plan, guards and run as by hand.
"""
