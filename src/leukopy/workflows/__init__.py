"""One function per verb: settings in, result record out. Command line and review station call these functions."""
