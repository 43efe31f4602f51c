"""Say in a video that it is made: metadata and an invisible mark."""
