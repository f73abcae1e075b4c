"""One function per verb: settings in, result record out. Doors call these and add nothing."""
