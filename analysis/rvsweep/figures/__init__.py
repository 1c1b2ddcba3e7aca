"""Figures of what stats/ finds, a module for each of its modules, as SVG with their data as CSV."""
