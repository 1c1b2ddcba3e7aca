"""Prompt banks: reading, checks, and what these find as text and as a page."""
