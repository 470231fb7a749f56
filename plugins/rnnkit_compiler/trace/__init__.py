"""The step of a cell, recorded: what it computes, what that depends on, and how to make it again."""
