"""`python -m bridge decode`: what trace headers say, where they disagree, and what the bridge would do with them."""
