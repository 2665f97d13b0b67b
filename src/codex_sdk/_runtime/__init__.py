"""Where the pure core meets the operating system: the owners of turns, their tasks and their channels."""
