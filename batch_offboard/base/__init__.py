"""Owns what every wing uses: errors and exit codes, time, text, secrets and their mask, the log. Knows no device."""
