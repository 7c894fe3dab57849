"""Tables 1 to 7 and 9, Section 5.1, Figures 6 and 7: classifiers trained and evaluated as whole runs."""
