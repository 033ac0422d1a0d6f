"""Networks that watch: time as a thing that moves through channels."""
