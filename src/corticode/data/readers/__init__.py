"""One module a file format, each with the same two functions; `arrays` is the door."""
