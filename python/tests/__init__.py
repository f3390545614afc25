"""Tests of the package `flockwork`: `python3 -m unittest discover -s python -t python`, with FLOCKWORK naming the program where none is installed."""
