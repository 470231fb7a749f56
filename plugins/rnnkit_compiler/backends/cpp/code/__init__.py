"""The text of a kernel in C++: from the schedules of a plan to one source."""
