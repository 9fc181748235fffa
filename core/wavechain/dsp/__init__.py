"""Pure maths on arrays of samples: no files, no devices, no settings; NumPy only.

Conventions: the last axis is time; float32 in and out unless a function says otherwise; a class that ends in
``Stream`` carries its own state from block to block and gives the same samples however the signal is cut.
"""
