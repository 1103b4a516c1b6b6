"""A Cerebrate over REST: what it answers, and what that means."""
