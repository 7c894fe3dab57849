"""What all experiments share: inputs and outcomes, verdicts, figures, tables, training of small networks."""
