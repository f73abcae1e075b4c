"""Commands that redo the studies, and prepare their data."""
