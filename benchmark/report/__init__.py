"""A static, offline report of a run: players, tables, curves and heat-maps in one folder."""
