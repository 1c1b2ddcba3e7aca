"""Reads a sweep's results.h5, computes its statistics and writes the HTML report."""
