"""A portrait that speaks: pieces, files, streams, projects and edits."""
