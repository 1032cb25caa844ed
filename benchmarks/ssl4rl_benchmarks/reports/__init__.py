"""What is made of results for people to look at: of a run, of a suite, of a search."""
