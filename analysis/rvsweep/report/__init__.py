"""Pages about sweeps: what their sections hold, and the templates that print it."""
