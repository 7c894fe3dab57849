"""What a run is configured by: frozen dataclasses, read from YAML files and flags. Nothing here imports torch."""
