"""The command line. It has no logic: it parses, calls a workflow, draws its progress, and exits with a code."""
