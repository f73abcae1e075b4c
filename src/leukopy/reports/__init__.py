"""What people and other programs read: differential count, report page, evaluation files."""
