"""The questions of a lab whose exercises fill their file: `tinylib/exercises/<slug>.py` imports them from here."""
