"""Owns the reports of a batch for people and programs: rows, files, workbook and page. Never reads the journal."""
