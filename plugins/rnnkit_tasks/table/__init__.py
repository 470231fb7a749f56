"""Reading tables: text files to columns of numbers and words, and the times of their rows."""
