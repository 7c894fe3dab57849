"""The commands besides the two trainers, each a module with main(argv) -> exit code."""
