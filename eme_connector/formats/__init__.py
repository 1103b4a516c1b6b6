"""Wire forms and the domain: parse and render, nothing else."""
