"""Pages about sweeps: what their sections show, and the templates that print it."""
