"""The tools that an evaluation takes the place of, each started as its users start it, on our weights."""
