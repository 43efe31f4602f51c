"""How fast a system is on this machine, and what it computes on none."""
