"""Which assumption about the annotators fails: statistics aimed at one each, and what chance does to them."""
