"""Benchmarks of speed and memory on this machine, against the loops of tutorials."""
