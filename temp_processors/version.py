"""The version of the package: hatch reads it, signatures and run folders quote it."""

__version__ = "0.1.0"
