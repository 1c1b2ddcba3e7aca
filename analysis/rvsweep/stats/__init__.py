"""Statistics over prompt pairs: pure functions of arrays, and what they find in a sweep."""
