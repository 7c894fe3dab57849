"""The sections of a run's page: each file gathers the content of one, and draws nothing."""
