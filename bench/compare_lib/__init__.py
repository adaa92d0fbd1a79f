"""The parts of bench/compare. Read main.py first."""
