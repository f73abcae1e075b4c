"""What tests share: models whose right answers are known, drawn cells, stations. No test lies here."""
