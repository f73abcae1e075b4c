"""``leukopy patients``: one file per command."""
