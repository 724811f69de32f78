"""Owns a batch written for people and programs: rows, files, the workbook, the page. Never reads the journal."""
