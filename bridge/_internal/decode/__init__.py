"""`python -m bridge decode`: what trace headers say, where they disagree, and what bridge would do with them."""
