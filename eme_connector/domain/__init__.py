"""What the connector knows: pure rules, standard library only."""
