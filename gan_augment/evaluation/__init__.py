"""What a top-up does downstream, measured on rows that no fit saw. Here: choosing an amount."""
