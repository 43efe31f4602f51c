"""Published visual tokenizers: their networks, and the names of tensors in their checkpoints."""
