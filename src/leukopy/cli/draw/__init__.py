"""Commands that draw cells, fields and slides with known truth."""
