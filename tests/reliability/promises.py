"""What is promised, in the words of the page that the counts go to."""

KILLED = "A run that is killed and resumed ends where an undisturbed one does, to the byte"
SIGNALLED = "SIGINT and SIGTERM leave a checkpoint within 2 s of the step's end"
DAMAGED = "A checkpoint loads as it was saved, or is refused in one line"
STREAMED = "Memory does not grow with the number of steps"
SEEDED = "The same seed gives the same bits, and what they depend on is told"
LACKING = "What the machine lacks is said in one line, exit code 8"
LOCKED = "Two processes never write to one run"
