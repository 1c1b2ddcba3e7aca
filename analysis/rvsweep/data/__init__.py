"""Results files as plain arrays, and what can be told from them without statistics over pairs."""
