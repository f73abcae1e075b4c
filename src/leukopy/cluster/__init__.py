"""Many slides on many machines: a plan, shards of whole slides, a receipt for each."""
