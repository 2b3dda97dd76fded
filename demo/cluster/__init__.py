"""A cluster of one's own: `windsock cluster up`, `demo`, `manifests`, `down`. Talks to docker, kind and kubectl, and to nothing else."""
