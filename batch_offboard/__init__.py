"""Offboard a spreadsheet of devices from Microsoft Defender for Endpoint."""

__version__ = "0.1.0"
