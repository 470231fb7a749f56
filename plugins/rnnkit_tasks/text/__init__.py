"""Reading texts: files of any size as symbols, and n-gram models of them."""
