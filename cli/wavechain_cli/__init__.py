"""The command line: arguments in, tables and exit codes out. No maths, no audio; what it shows, the core computes."""
