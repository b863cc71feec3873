"""The command line: one thin command a file. Parse, call, render, exit code."""
