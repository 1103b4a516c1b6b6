"""`python -m eme_connector.cli`."""

from eme_connector.cli import main

main(prog_name="eme")
