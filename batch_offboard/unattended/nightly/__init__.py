"""Unattended runs over an inbox: `order` says what comes when, `sheets` what becomes of one sheet, `placing` where it
lies in the end.

Whatever is sent goes through the same plan, guards and run as by hand.
"""
