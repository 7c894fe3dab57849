"""Shared by all experiments: inputs and outcomes, verdicts, figures, tables, training of small networks."""
