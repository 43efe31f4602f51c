"""How fast the generator is, measured; see `reports/performance/model.md`."""
