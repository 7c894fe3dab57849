"""The settings of a run: frozen dataclasses, read from YAML files and flags. Nothing here imports torch."""
