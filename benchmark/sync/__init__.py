"""How well lips and sound fit: SyncNet, its distances, and judges trained on one's own data."""
