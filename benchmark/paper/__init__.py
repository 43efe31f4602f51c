"""The papers' tables and figures again: what they print, and beside it what was measured here."""
