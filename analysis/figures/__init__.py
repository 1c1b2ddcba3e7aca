"""Figures: functions from computed numbers to an SVG element and its data as CSV; one module for each of stats/ that is drawn."""
