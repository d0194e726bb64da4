"""Many inputs at a time on one machine or a cluster, through Ray. No Qt."""
