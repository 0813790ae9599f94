"""The values that travel through the house. No I/O, no libraries beyond numpy."""
