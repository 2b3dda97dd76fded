"""The end of the alarm's path, a process of its own: it receives alerts, and misses them."""
