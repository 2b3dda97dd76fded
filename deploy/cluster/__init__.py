"""A cluster of one's own: `windsock cluster up`, `manifests`, `down`. Talks to docker, kind and kubectl alone."""
