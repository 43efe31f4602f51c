"""Raw talking-head video to audited shards."""
