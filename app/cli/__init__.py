"""One module a command. None of them imports Qt before it has to."""
