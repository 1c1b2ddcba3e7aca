"""Results files as plain arrays, and what can be said of them without statistics over pairs."""
